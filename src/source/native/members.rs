//! Who is in a consumer group, and which partitions each has: the same for both rebalance protocols.

use std::ffi::CString;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use super::{ask, words};

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its `client.id`.
    pub client_id: String,
    /// The address that it comes from, as the broker sees it.
    pub host: String,
    /// What the group knows it by.
    pub member_id: String,
    /// Its partitions of the topic, in order.
    pub partitions: Vec<i32>,
}

/// Asks for a group's members and their partitions of `topic`. Blocks for up to `timeout` and a little.
///
/// # Errors
/// What the broker or librdkafka says, in words.
pub fn members<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<Member>, String> {
    let name = CString::new(group).map_err(|_| format!("group name {group:?} has a NUL"))?;
    // SAFETY: `client` keeps the handle alive; each object made is freed by its guard, in reverse order.
    unsafe {
        let mut names = [name.as_ptr()];
        let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let event = ask(client, op, timeout, |options, queue| {
            let names = names.as_mut_ptr();
            sys::rd_kafka_DescribeConsumerGroups(client.native_ptr(), names, 1, options, queue);
        })?;
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event.0);
        if result.is_null() {
            return Err("an answer of another kind".to_owned());
        }
        let mut count = 0;
        let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if groups.is_null() || count == 0 {
            return Err("an answer without the group".to_owned());
        }
        let described = *groups;
        let error = sys::rd_kafka_ConsumerGroupDescription_error(described);
        if !error.is_null() && sys::rd_kafka_error_code(error) as i32 != 0 {
            return Err(words(sys::rd_kafka_error_string(error)));
        }
        let count = sys::rd_kafka_ConsumerGroupDescription_member_count(described);
        let member = |at| {
            let member = sys::rd_kafka_ConsumerGroupDescription_member(described, at);
            Member {
                client_id: words(sys::rd_kafka_MemberDescription_client_id(member)),
                host: words(sys::rd_kafka_MemberDescription_host(member))
                    .trim_start_matches('/')
                    .to_owned(),
                member_id: words(sys::rd_kafka_MemberDescription_consumer_id(member)),
                partitions: partitions(member, topic),
            }
        };
        Ok((0..count).map(member).collect())
    }
}

/// # Safety
/// `member` is of a description that lives as long as the call.
unsafe fn partitions(member: *const sys::rd_kafka_MemberDescription_t, topic: &str) -> Vec<i32> {
    // SAFETY: as the caller promises; the list has `cnt` elements, and each a topic's name.
    unsafe {
        let assignment = sys::rd_kafka_MemberDescription_assignment(member);
        if assignment.is_null() {
            return Vec::new();
        }
        let list = sys::rd_kafka_MemberAssignment_partitions(assignment);
        if list.is_null() || (*list).elems.is_null() {
            return Vec::new();
        }
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        let elements = std::slice::from_raw_parts((*list).elems, count);
        let mut all: Vec<i32> = elements
            .iter()
            .filter(|e| words(e.topic) == topic)
            .map(|e| e.partition)
            .collect();
        all.sort_unstable();
        all
    }
}
