//! To come.
pub mod private_postgres;
