//! The edge: from where a call is believed to come, what pages of other origins may
//! ask, and how much anybody may.

mod addresses;
mod bodies;
mod contents;
mod headers;
mod memory;
mod origins;
mod rates;
