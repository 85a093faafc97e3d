//! What one event costs on its way from a record to a request's body, in allocations and in instructions. Wall time
//! on a shared machine says little, and comes too late; these two are the same in every run.

mod allocations;
mod instructions;
mod work;
