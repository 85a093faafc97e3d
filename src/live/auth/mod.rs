//! Who may do what on the live lane: users' tokens, what they allow on the server's subjects, and the answers to
//! the server's question who somebody is.
//!
//! Promises: nobody is let in but with a token that its issuer signed for this audience, with the one algorithm
//! that the settings name, and that has not expired; a connection ends when its token does; a user publishes
//! and reads only what the table of subjects gives him (`permissions`).
//!
//! It relies on the server's accounts: users are placed in one that has no streams, so that what the server
//! itself sends to a reply subject of a user's choice, such as the acknowledgement of a comment, reaches no
//! stream and no worker.
//!
//! No print and no log holds a token or a key.

mod callout;
mod nkey_jwt;
mod permissions;
mod serve;
mod tokens;

pub use callout::{Callout, CalloutError, Counts};
pub use permissions::{LONGEST_PAYLOAD, Permissions, SUBSCRIPTIONS};
pub use serve::{QUEUE, SUBJECT, serve};
pub use tokens::{Claims, MOST_ROOMS, MintError, TokenError, Tokens, mint};
