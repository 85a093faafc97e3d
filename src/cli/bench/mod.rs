//! `twolane bench`: how fast the lane is on this machine, beside what its servers can take at all.
//!
//! Promises: what is compared was measured in the same run, on the same servers and the same records; the
//! lane is measured in a process of its own, so that its memory and CPU are its alone; nothing of a run is
//! left behind unless that was asked for. It relies on the local stack, and says how busy the machine was
//! with other things, since that is in every figure.

mod bare;
mod benthos;
mod child;
mod gateway;
mod ingest;
mod latency;
mod live;
mod produce;
mod records;
mod report;
mod scale;
mod specs;
mod stack;
mod sync;
mod topic;

use std::process::ExitCode;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Drain a preloaded topic into Elasticsearch and Redis, and compare with bare clients
    Sync(sync::Args),
    /// Repeat `sync` with other workers, partitions, documents and rows, and say what an event costs
    Scale(scale::Args),
    /// Send comments and likes into live rooms at a fixed rate, and measure when viewers see them
    Live(live::Args),
    /// Show comments to browsers' sockets and notify their users at fixed rates, and measure when, and at what cost
    Gateway(gateway::Args),
    /// Send records beside Kafka's own tool, and count what each codec leaves of them
    Produce(produce::Args),
    /// Send events over HTTP with vegeta, singly and in batches, and measure when they are acknowledged
    Ingest(ingest::Args),
    /// The lane of `sync`, in the process that is measured
    #[command(hide = true)]
    Lane(child::Args),
    /// The lane of `sync --rate`, in the process that is measured
    #[command(hide = true)]
    TimedLane(latency::ChildArgs),
}

/// Runs the bench that was asked for.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Sync(args) => sync::run(args),
        What::Scale(args) => scale::run(args),
        What::Live(args) => live::run(args),
        What::Gateway(args) => gateway::run(args),
        What::Produce(args) => produce::run(args),
        What::Ingest(args) => ingest::run(args),
        What::Lane(args) => child::run(args),
        What::TimedLane(args) => latency::run_child(args),
    }
}

/// What `measured` comes to, unless somebody ends it with Ctrl-C: then whoever calls cleans up all the same.
async fn unless_interrupted<T>(
    measured: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        measured = measured => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    }
}
