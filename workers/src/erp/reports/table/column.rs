//! What the columns of a report are, and what stands below them.

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words.
    Text,
    /// A count.
    Integer,
    /// How many or how much of a product.
    Quantity,
    /// An amount in the report's currency.
    Money,
    /// A share of a hundred.
    Percent,
    /// A calendar day.
    Date,
}

impl Kind {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Quantity => "quantity",
            Self::Money => "money",
            Self::Percent => "percent",
            Self::Date => "date",
        }
    }

    /// Whether its cells are numbers.
    pub fn is_number(self) -> bool {
        !matches!(self, Self::Text | Self::Date)
    }
}

/// What stands below a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Nothing: its numbers can't be added.
    None,
    /// The sum of its cells.
    Sum,
    /// One total over another: in percent, or as it is.
    Ratio(&'static str, &'static str),
}

/// A column of a report, or of a part of it.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name for programs.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What its cells are.
    pub kind: Kind,
    /// What stands below it.
    pub total: Total,
}

impl Column {
    /// A column without a total.
    pub const fn new(name: &'static str, title: &'static str, kind: Kind) -> Self {
        Self { name, title, kind, total: Total::None }
    }

    /// With the sum of its cells below it.
    pub const fn sum(mut self) -> Self {
        self.total = Total::Sum;
        self
    }

    /// With the sum below it where its numbers can be added.
    pub const fn sum_if(self, additive: bool) -> Self {
        if additive { self.sum() } else { self }
    }

    /// With the ratio of two other totals below it.
    pub const fn ratio(mut self, of: &'static str, over: &'static str) -> Self {
        self.total = Total::Ratio(of, over);
        self
    }
}
