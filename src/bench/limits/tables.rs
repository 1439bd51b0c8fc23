//! The findings of `bench limits` for people.

use super::{Cap, Found, RateFound};
use crate::bench::figures::per_second;
use crate::bench::report::{Findings, Table};

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let cap = |cap: &Cap| {
            let kills =
                [cap.peak_with_kills.to_string(), percent(cap.used_after_kills), cap.kills.to_string()];
            [vec![cap.cap.to_string(), cap.peak.to_string(), percent(cap.used)], kills.to_vec()].concat()
        };
        let rate = |found: &RateFound| {
            let rate = format!("{} in {} s", found.rate.count, found.rate.seconds);
            vec![rate, found.busiest_window.to_string(), percent(found.used)]
        };
        let cost = &self.cost;
        let costs = [
            (
                "a limit of all slots",
                cost.unlimited_per_second,
                cost.at_capacity_per_second,
                cost.cost_of_capacity_limit,
            ),
            (
                "others beside a limited tenant",
                cost.others_alone_per_second,
                cost.others_beside_per_second,
                cost.delay_of_others,
            ),
        ];
        let title = format!("{} processes, {} slots", self.processes, self.slots);
        vec![
            Table {
                title: format!("Concurrency, {title}"),
                columns: vec!["LIMIT", "PEAK", "USED", "PEAK, KILLS", "USED AFTER THEM", "KILLS"],
                rows: self.caps.iter().map(cap).collect(),
            },
            Table {
                title: "What it costs".to_owned(),
                columns: vec!["", "JOBS/S WITHOUT", "WITH", "LOST"],
                rows: costs
                    .map(|(name, without, with, lost)| {
                        vec![name.to_owned(), per_second(without), per_second(with), percent(lost)]
                    })
                    .to_vec(),
            },
            Table {
                title: "Starts".to_owned(),
                columns: vec!["LIMIT", "BUSIEST WINDOW", "USED"],
                rows: self.rates.iter().map(rate).collect(),
            },
        ]
    }
}
