//! What the stock is worth, stored.
//!
//! | file | tables |
//! |---|---|
//! | [`entries`] | `stock_movements` in the order of a replay, `stock_ledgers` |
//! | [`states`] | `valuation_states`: how far a product is valued, and what going on needs |
//! | [`figures`] | `movement_valuations`, `valuation_layers`, `stock_valuations`, written |
//! | [`lists`] | the same, as people look at them |
//! | [`runs`] | `valuation_runs` |
//! | [`results`] | `valuation_results` |

pub mod entries;
pub mod figures;
pub mod lists;
pub mod results;
pub mod runs;
pub mod states;
