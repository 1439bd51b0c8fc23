//! What somebody asks for, and what that means on the day it is asked.

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::ValueEnum;
use fairlane::{Error, Result};
use serde::{Deserialize, Serialize};

use super::range::{DayRange, Relative, Step};

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// The word in the database, on the command line and in output.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words!(
    /// What a report is about.
    ReportType {
        /// What was sold.
        Sales = "sales",
        /// What was there, came and went.
        Inventory = "inventory",
        /// What was billed, paid and is owed.
        Financial = "financial",
        /// Who bought.
        Customer = "customer",
        /// What was bought from vendors.
        Procurement = "procurement",
    }
);

words!(
    /// What a row of a report stands for.
    Grouping {
        /// A calendar day.
        Day = "day",
        /// A week, from Monday.
        Week = "week",
        /// A month.
        Month = "month",
        /// A product.
        Product = "product",
        /// The products of a category.
        Category = "category",
        /// A customer.
        Customer = "customer",
        /// A country.
        Country = "country",
        /// A location goods leave from.
        Location = "location",
        /// A line of an order, or of a return.
        Line = "line",
    }
);

words!(
    /// How a report's file is written.
    FileFormat {
        /// One JSON document.
        Json = "json",
        /// A table of text.
        Csv = "csv",
        /// A workbook.
        Xlsx = "xlsx",
        /// A page to look at and to print.
        Html = "html",
    }
);

impl Grouping {
    /// The periods it goes by, if it goes by periods.
    pub fn step(self) -> Option<Step> {
        match self {
            Self::Day => Some(Step::Day),
            Self::Week => Some(Step::Week),
            Self::Month => Some(Step::Month),
            _ => None,
        }
    }
}

impl ReportType {
    /// What its rows may stand for, the usual first; nothing where that is always the same.
    pub fn groupings(self) -> &'static [Grouping] {
        match self {
            Self::Sales => &[
                Grouping::Day,
                Grouping::Week,
                Grouping::Month,
                Grouping::Product,
                Grouping::Category,
                Grouping::Customer,
                Grouping::Country,
                Grouping::Location,
                Grouping::Line,
            ],
            Self::Financial => &[Grouping::Month, Grouping::Week, Grouping::Day],
            _ => &[],
        }
    }
}

/// The days a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Period {
    /// Counted from the day it is asked for.
    Relative(Relative),
    /// These days, both included.
    Days {
        /// The first.
        from: NaiveDate,
        /// The last.
        to: NaiveDate,
    },
}

/// What somebody, or a schedule, asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// What it is about.
    pub report: ReportType,
    /// The days.
    pub period: Period,
    /// The IANA zone of the days; without it the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What a row stands for; without it the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Grouping>,
    /// How its file is written.
    #[serde(default = "ReportRequest::usual_format")]
    pub format: FileFormat,
}

/// What a request means on the day it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// What it is about.
    pub report: ReportType,
    /// The days.
    pub range: DayRange,
    /// What a row stands for, where there is a choice.
    pub by: Option<Grouping>,
    /// How its file is written.
    pub format: FileFormat,
}

impl ReportRequest {
    /// A page to look at, of these days.
    pub fn new(report: ReportType, from: NaiveDate, to: NaiveDate) -> Self {
        Self { report, period: Period::Days { from, to }, zone: None, by: None, format: FileFormat::Html }
    }

    fn usual_format() -> FileFormat {
        FileFormat::Json
    }

    /// What it means; `zone` is the tenant's, `today` the day in it, or in the zone that is asked for.
    pub fn resolve(&self, zone: Tz, today: impl Fn(Tz) -> NaiveDate) -> Result<Parameters> {
        let zone = match &self.zone {
            Some(name) => name.parse::<Tz>().map_err(|_| Error::Invalid {
                what: format!("the time zone \"{name}\""),
                why: "it must be an IANA name such as Europe/Berlin or UTC".into(),
            })?,
            None => zone,
        };
        let (from, to) = match self.period {
            Period::Days { from, to } => (from, to),
            Period::Relative(relative) => relative.days(today(zone)),
        };
        let choices = self.report.groupings();
        if let Some(by) = self.by.filter(|by| !choices.contains(by)) {
            let known: Vec<&str> = choices.iter().map(|by| by.as_str()).collect();
            return Err(Error::Invalid {
                what: format!("a {} report by {}", self.report.as_str(), by.as_str()),
                why: match known.is_empty() {
                    true => "its rows always stand for the same; leave --by out".into(),
                    false => format!("it can be by {}", known.join(", ")),
                },
            });
        }
        let by = self.by.or_else(|| choices.first().copied());
        Ok(Parameters { report: self.report, range: DayRange::new(from, to, zone)?, by, format: self.format })
    }
}

impl Parameters {
    /// The name of its file for people: `acme-sales-by-day-2010-12-01-2010-12-07.html`.
    pub fn file_name(&self, tenant: &str) -> String {
        let by = self.by.map(|by| format!("-by-{}", by.as_str())).unwrap_or_default();
        let (report, range) = (self.report.as_str(), &self.range);
        format!("{tenant}-{report}{by}-{}-{}.{}", range.from, range.to, self.format.as_str())
    }
}
