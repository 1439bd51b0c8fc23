//! The bare queue: quantities at rates, without movements, values or rounding.

use rust_decimal::Decimal;

/// Which end a queue is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// First in, first out.
    Fifo,
    /// Last in, first out.
    Lifo,
}

/// So many at this rate; fewer than nothing where more was taken than there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// How many.
    pub quantity: Decimal,
    /// At what rate.
    pub rate: Decimal,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    order: Order,
    bins: Vec<Bin>,
}

impl Queue {
    /// A queue with what is in it, oldest first.
    pub fn new(order: Order, bins: Vec<Bin>) -> Self {
        Self { order, bins }
    }

    /// What is in it, oldest first.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// Adds so many. What is missing is made up for first and keeps its rate as long as something is missing.
    pub fn add(&mut self, quantity: Decimal, rate: Decimal) {
        match self.bins.last_mut() {
            Some(last) if last.rate == rate => last.quantity += quantity,
            Some(last) if last.quantity < Decimal::ZERO => {
                let sum = last.quantity + quantity;
                *last = Bin { quantity: sum, rate: if sum > Decimal::ZERO { rate } else { last.rate } };
            }
            _ => self.bins.push(Bin { quantity, rate }),
        }
        self.bins.retain(|bin| !bin.quantity.is_zero());
    }

    /// Takes so many, of the preferred rate first where there are some; returns what was taken.
    ///
    /// What is not there is taken at the preferred rate, else at that of what was taken last, else at `fallback`.
    pub fn remove(&mut self, quantity: Decimal, prefer_rate: Option<Decimal>, fallback: Decimal) -> Vec<Bin> {
        let (mut wanted, mut taken) = (quantity, Vec::<Bin>::new());
        while wanted > Decimal::ZERO {
            let Some(at) = self.next(prefer_rate) else {
                let last = taken.last().or(self.bins.last()).map(|bin| bin.rate);
                let rate = prefer_rate.or(last).unwrap_or(fallback);
                match self.bins.last_mut() {
                    Some(missing) => missing.quantity -= wanted,
                    None => self.bins.push(Bin { quantity: -wanted, rate }),
                }
                taken.push(Bin { quantity: wanted, rate });
                break;
            };
            let bin = &mut self.bins[at];
            let part = wanted.min(bin.quantity);
            taken.push(Bin { quantity: part, rate: bin.rate });
            bin.quantity -= part;
            wanted -= part;
            if bin.quantity.is_zero() {
                self.bins.remove(at);
            }
        }
        taken
    }

    fn next(&self, prefer_rate: Option<Decimal>) -> Option<usize> {
        let there = |bin: &Bin| bin.quantity > Decimal::ZERO;
        let preferred =
            prefer_rate.and_then(|rate| self.bins.iter().position(|b| there(b) && b.rate == rate));
        preferred.or_else(|| match self.order {
            Order::Fifo => self.bins.iter().position(there),
            Order::Lifo => self.bins.iter().rposition(there),
        })
    }
}
