//! Every metric there is. Names follow Prometheus: base units, `_total` on what only grows.

use super::Read::{
    Build, Child, ChildState, Class, Counter, Gateway, GatewayNow, Gauge, Histogram, Ingest, Live,
    LiveNow, Partition, Reasons, Refusals, Sent, Stages, State, Turned, Users,
};
use super::{Bounds, Metric};

/// A request takes at least a round trip on the loopback, and is given up after a minute or two.
const REQUEST: Bounds = Bounds {
    from: 1e-4,
    to: 105.0,
    whole: false,
};
/// Sources say their commit in milliseconds at best; a branch that was away for two days must still show it.
const FRESHNESS: Bounds = Bounds {
    from: 8e-4,
    to: 215_000.0,
    whole: false,
};
/// One document to the 100,000 that a pipeline spec may ask for.
const DOCUMENTS: Bounds = Bounds {
    from: 1.0,
    to: 110_000.0,
    whole: true,
};

/// In the order of a record's way.
pub(super) const TABLE: &[Metric] = &[
    Metric {
        name: "twolane_records_consumed_total",
        help: "Records taken from Kafka. At rest this is the sum of the applied, superseded, filtered, dead-lettered and \
               abandoned ones",
        read: Counter(|b| b.records.consumed),
    },
    Metric {
        name: "twolane_records_applied_total",
        help: "Records that are in the sink",
        read: Counter(|b| b.records.applied),
    },
    Metric {
        name: "twolane_records_superseded_total",
        help: "Records that something newer made needless",
        read: Counter(|b| b.records.superseded),
    },
    Metric {
        name: "twolane_records_filtered_total",
        help: "Records that change no document, such as the null after a delete",
        read: Counter(|b| b.records.filtered),
    },
    Metric {
        name: "twolane_records_dead_lettered_total",
        help: "Records in the dead-letter topic",
        read: Counter(|b| b.records.dead_lettered),
    },
    Metric {
        name: "twolane_records_abandoned_total",
        help: "Records given up unresolved, since their partition was revoked or rewound; they are consumed again",
        read: Counter(|b| b.records.abandoned),
    },
    Metric {
        name: "twolane_record_reasons_total",
        help: "Records that were filtered or dead-lettered, by reason",
        read: Reasons,
    },
    Metric {
        name: "twolane_records_pending",
        help: "Records taken and not resolved",
        read: Gauge(|b| Some(b.records.pending as f64)),
    },
    Metric {
        name: "twolane_source_rewinds_total",
        help: "Changes whose source position lay before one seen earlier in their partition: the capture repeats itself after \
               a crash",
        read: Counter(|b| b.source_rewinds),
    },
    Metric {
        name: "twolane_watermark_rewinds_total",
        help: "Times a partition was read again from its watermark, after a worker died with records in hand",
        read: Counter(|b| b.rewinds),
    },
    Metric {
        name: "twolane_sink_forgot_total",
        help: "Times the sink was found to have lost acknowledged writes of a partition",
        read: Counter(|b| b.forgot),
    },
    Metric {
        name: "twolane_sink_requests_total",
        help: "Requests that the sink answered",
        read: Counter(|b| b.requests),
    },
    Metric {
        name: "twolane_sink_retries_total",
        help: "Times a request was put off, to be tried again, for what the sink said or because it could not be reached",
        read: Counter(|b| b.retried),
    },
    Metric {
        name: "twolane_sink_request_seconds",
        help: "Seconds that a request to the sink took",
        read: Histogram(|b| &b.request_seconds, REQUEST),
    },
    Metric {
        name: "twolane_batch_documents",
        help: "Documents in one request to the sink",
        read: Histogram(|b| &b.batch_documents, DOCUMENTS),
    },
    Metric {
        name: "twolane_freshness_seconds",
        help: "Seconds from the commit at the source until the change is applied in Redis (it is visible then), acknowledged by \
               Elasticsearch, and searchable there: of each change whose source says when it committed, and for searchable of \
               one now and then; binlog times of MariaDB are whole seconds",
        read: Stages(FRESHNESS),
    },
    Metric {
        name: "twolane_freshness_skewed_total",
        help: "Changes that were in the sink before their commit, as the two machines' clocks say; their freshness counts as 0",
        read: Counter(|b| b.skewed),
    },
    Metric {
        name: "twolane_searchable_unseen_total",
        help: "Acknowledged documents that a search did not find within 5 minutes, of those that were looked for",
        read: Counter(|b| b.unseen),
    },
    Metric {
        name: "twolane_last_freshness_seconds",
        help: "Freshness of the last record acknowledged; no sample before the first",
        read: Gauge(|b| b.last_freshness_seconds),
    },
    Metric {
        name: "twolane_staleness_seconds",
        help: "Seconds for which the oldest record that is known to be unresolved has been in the log, and at least those for \
               which the branch has been halted; 0 where nothing is unresolved",
        read: Gauge(|b| Some(b.staleness_seconds)),
    },
    Metric {
        name: "twolane_not_progressing",
        help: "1 while the branch runs and has records to resolve, but has resolved none for the setting stuck_after",
        read: Gauge(|b| Some(f64::from(u8::from(b.stuck_seconds.is_some())))),
    },
    Metric {
        name: "twolane_end_offset_age_seconds",
        help: "Seconds since the end of the log was last known, of the assigned partition where it is longest; lag and staleness \
               are of that moment",
        read: Gauge(|b| b.end_age_seconds),
    },
    Metric {
        name: "twolane_lag_records",
        help: "Offsets between the watermark and the end of the log, as last asked; of an assigned partition that is read",
        read: Partition(|p| p.lag),
    },
    Metric {
        name: "twolane_end_offset",
        help: "One past the last record in the log, as last asked",
        read: Partition(|p| Some(p.end)),
    },
    Metric {
        name: "twolane_watermark_offset",
        help: "The lowest offset that is not resolved",
        read: Partition(|p| p.watermark),
    },
    Metric {
        name: "twolane_committed_offset",
        help: "The consumer group's committed offset",
        read: Partition(|p| p.committed),
    },
    Metric {
        name: "twolane_buffer_bytes",
        help: "Bytes from poll to resolution",
        read: Gauge(|b| Some(b.buffer.bytes as f64)),
    },
    Metric {
        name: "twolane_buffer_limit_bytes",
        help: "The most of them: buffer_bytes of the sink",
        read: Gauge(|b| Some(b.buffer.limit as f64)),
    },
    Metric {
        name: "twolane_tombstones_purged_total",
        help: "Tombstones removed past the horizon",
        read: Counter(|b| b.purged),
    },
    Metric {
        name: "twolane_branch_state",
        help: "1 for the branch's state, 0 for the others; halted asks for an operator",
        read: State,
    },
    Metric {
        name: "twolane_child_restarts_total",
        help: "Restarts of a supervised actor",
        read: Child(|c| c.restarts),
    },
    Metric {
        name: "twolane_child_state",
        help: "1 for the actor's state, 0 for the others; waiting is between two incarnations, stopping is on the way to the end of one",
        read: ChildState,
    },
    Metric {
        name: "twolane_live_received_total",
        help: "What the live lane received, by class; a redelivery is one more. At rest this is the sum of the accepted, refused, shed, duplicate, dead-lettered and abandoned",
        read: Class(|c| c.counts.received),
    },
    Metric {
        name: "twolane_live_accepted_total",
        help: "Comments that are in LIVE_OUT, likes and heartbeats that are in their room, requests that were answered",
        read: Class(|c| c.counts.accepted),
    },
    Metric {
        name: "twolane_live_refused_total",
        help: "What was not taken, and whose sender was told",
        read: Class(|c| c.counts.refused),
    },
    Metric {
        name: "twolane_live_refusals_total",
        help: "Messages that were not taken, by the reason code of the wire contract; those of no room or user are bad_name",
        read: Refusals,
    },
    Metric {
        name: "twolane_live_shed_total",
        help: "What was given up since the worker had too much to do; never a comment",
        read: Class(|c| c.counts.shed),
    },
    Metric {
        name: "twolane_live_duplicate_total",
        help: "Redelivered comments that LIVE_OUT had already",
        read: Class(|c| c.counts.duplicate),
    },
    Metric {
        name: "twolane_live_dead_lettered_total",
        help: "Comments that are in LIVE_DEAD",
        read: Class(|c| c.counts.dead_lettered),
    },
    Metric {
        name: "twolane_live_abandoned_total",
        help: "What was given up unresolved; a comment is delivered again",
        read: Class(|c| c.counts.abandoned),
    },
    Metric {
        name: "twolane_live_redelivered_total",
        help: "Of the received, those that had been delivered before",
        read: Class(|c| c.counts.redelivered),
    },
    Metric {
        name: "twolane_live_likes_added_total",
        help: "Likes that Redis has accepted",
        read: Live(|l| l.likes_added),
    },
    Metric {
        name: "twolane_live_likes_lost_total",
        help: "Likes that were taken and given up",
        read: Live(|l| l.likes_lost),
    },
    Metric {
        name: "twolane_live_rooms_restarted_total",
        help: "Room actors made anew after a failure",
        read: Live(|l| l.rooms_restarted),
    },
    Metric {
        name: "twolane_live_comments_buried_total",
        help: "Comments that no worker had in hand and that were copied to LIVE_DEAD",
        read: Live(|l| l.buried),
    },
    Metric {
        name: "twolane_live_comments_unproven_total",
        help: "Redelivered comments of which it could not be shown whether LIVE_OUT once had them",
        read: Live(|l| l.unproven),
    },
    Metric {
        name: "twolane_live_nats_disconnects_total",
        help: "Times a connection to NATS was lost",
        read: Live(|l| l.disconnects),
    },
    Metric {
        name: "twolane_live_nats_overflowed_total",
        help: "Messages that the NATS client dropped since they came faster than they were taken; the least",
        read: Live(|l| l.overflowed),
    },
    Metric {
        name: "twolane_live_users_total",
        help: "Connections of users that NATS asked about: let in, refused for their token, or not answered since the server's and the settings' keys differ",
        read: Users,
    },
    Metric {
        name: "twolane_live_connected",
        help: "1 while every connection to NATS holds",
        read: LiveNow(|l| f64::from(u8::from(l.connected))),
    },
    Metric {
        name: "twolane_live_overloaded",
        help: "1 while likes are shed since there is too much to do",
        read: LiveNow(|l| f64::from(u8::from(l.overloaded))),
    },
    Metric {
        name: "twolane_live_comments_in_hand",
        help: "Comments that this worker has in hand",
        read: LiveNow(|l| l.comments_in_hand as f64),
    },
    Metric {
        name: "twolane_live_comments_waiting",
        help: "Comments that wait in LIVE_IN for this worker or another, as the last delivery said",
        read: LiveNow(|l| l.comments_waiting as f64),
    },
    Metric {
        name: "twolane_live_lag_seconds",
        help: "Seconds by which the comments' thread is late; from 0.02 on likes are shed",
        read: LiveNow(|l| l.lag_seconds),
    },
    Metric {
        name: "twolane_live_open_rooms",
        help: "Rooms that are open",
        read: LiveNow(|l| l.open_rooms as f64),
    },
    Metric {
        name: "twolane_gateway_sent_total",
        help: "What was to be sent to viewers, by class: each comment, recall, total, notification or answer once a viewer. Once every socket is closed this is the sum of the delivered and the shed",
        read: Sent(|c| c.counts.sent),
    },
    Metric {
        name: "twolane_gateway_delivered_total",
        help: "What the kernel took for a viewer",
        read: Sent(|c| c.counts.delivered),
    },
    Metric {
        name: "twolane_gateway_shed_total",
        help: "What was given up, since its viewer was too slow or gone",
        read: Sent(|c| c.counts.shed),
    },
    Metric {
        name: "twolane_gateway_frames_total",
        help: "Frames encoded, each once for all viewers of a room",
        read: Gateway(|g| g.frames),
    },
    Metric {
        name: "twolane_gateway_opened_total",
        help: "Sockets opened",
        read: Gateway(|g| g.opened),
    },
    Metric {
        name: "twolane_gateway_refused_total",
        help: "Handshakes refused: for the token, the origin, the name or a limit",
        read: Gateway(|g| g.refused),
    },
    Metric {
        name: "twolane_gateway_closed_total",
        help: "Sockets closed",
        read: Gateway(|g| g.closed),
    },
    Metric {
        name: "twolane_gateway_too_slow_total",
        help: "Of these, since the client did not take even what is never shed",
        read: Gateway(|g| g.too_slow),
    },
    Metric {
        name: "twolane_gateway_expired_total",
        help: "Of these, since the token had ended",
        read: Gateway(|g| g.expired),
    },
    Metric {
        name: "twolane_gateway_misbehaved_total",
        help: "Of these, since the client broke the protocol or a limit, or said nothing any more",
        read: Gateway(|g| g.misbehaved),
    },
    Metric {
        name: "twolane_gateway_gaps_total",
        help: "Times that a feed left something out, and the history was asked",
        read: Gateway(|g| g.gaps),
    },
    Metric {
        name: "twolane_gateway_unhealed_total",
        help: "Times that the history did not answer in time",
        read: Gateway(|g| g.unhealed),
    },
    Metric {
        name: "twolane_gateway_forged_total",
        help: "Messages that are none of the contract, and were dropped",
        read: Gateway(|g| g.forged),
    },
    Metric {
        name: "twolane_gateway_rooms_restarted_total",
        help: "Rooms opened anew under their viewers",
        read: Gateway(|g| g.rooms_restarted),
    },
    Metric {
        name: "twolane_gateway_comments_total",
        help: "Comments of sockets that the server stored",
        read: Gateway(|g| g.comments),
    },
    Metric {
        name: "twolane_gateway_notifications_total",
        help: "Notifications of services that the server stored",
        read: Gateway(|g| g.notifications),
    },
    Metric {
        name: "twolane_gateway_sockets",
        help: "Sockets that are open",
        read: GatewayNow(|g| g.sockets as f64),
    },
    Metric {
        name: "twolane_gateway_open_rooms",
        help: "Rooms that are open in the gateway",
        read: GatewayNow(|g| g.rooms as f64),
    },
    Metric {
        name: "twolane_gateway_queued_bytes",
        help: "Bytes that wait for viewers",
        read: GatewayNow(|g| g.queued_bytes as f64),
    },
    Metric {
        name: "twolane_gateway_connected",
        help: "1 while the gateway's connection to NATS holds",
        read: GatewayNow(|g| f64::from(u8::from(g.connected))),
    },
    Metric {
        name: "twolane_ingest_requests_total",
        help: "Requests for events over HTTP",
        read: Ingest(|i| i.requests),
    },
    Metric {
        name: "twolane_ingest_accepted_total",
        help: "Events over HTTP that Kafka has acknowledged",
        read: Ingest(|i| i.accepted),
    },
    Metric {
        name: "twolane_ingest_unacknowledged_total",
        help: "Events over HTTP that Kafka did not acknowledge in time, or refused; their clients were told",
        read: Ingest(|i| i.unacknowledged),
    },
    Metric {
        name: "twolane_ingest_turned_away_total",
        help: "Requests over HTTP that were not answered with 202, by why",
        read: Turned,
    },
    Metric {
        name: "twolane_build_info",
        help: "Always 1",
        read: Build,
    },
];
