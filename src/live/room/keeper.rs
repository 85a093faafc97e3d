//! Looks after all rooms of a process: follows the moderators' decisions, and stops rooms that are idle.

use std::sync::Arc;

use actix::prelude::*;

use super::state::Shared;
use super::table::Table;
use crate::live::moderation;

/// The actor. Its failure loses nothing: the decisions are in memory that it does not own, and are read anew.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) table: Arc<Table>,
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let shared = Arc::clone(&self.shared);
        let following = async move {
            moderation::follow(&shared.moderation, &*shared.outlet, &shared.stats).await;
        };
        ctx.spawn(following.into_actor(self));
        let (shared, table) = (Arc::clone(&self.shared), Arc::clone(&self.table));
        // A room is stopped when nothing came to it for one such turn, so after once to twice the time.
        ctx.run_interval(shared.spec.rooms.idle, move |_, _| table.sweep(&shared));
    }
}
