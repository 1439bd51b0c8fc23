//! What the tests of the ERP share.

pub mod smtp;
