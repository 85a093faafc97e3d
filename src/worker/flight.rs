//! How many requests a worker keeps in flight, and of how many documents: `in_flight` and `batch_documents`, and fewer
//! while its server cannot keep up.
//!
//! Additive increase and multiplicative decrease (Chiu and Jain, 1989), steered by what the server says and by how long
//! it takes. Where it refuses a request for now (429) or does not answer, half as many; where it takes several times as long for a
//! document as it did at its best, one less; with every other answer a part of one more. It never goes below one, so that
//! work goes on and a server that has recovered is noticed.
//!
//! A request that is not answered in time is sent again with half of the documents, for as often as it takes: a starved
//! server may need longer for a full one than is waited, and the same again would never be done. What follows begins
//! with as many as passed, and half as many more with each answer.

use std::time::Duration;

/// How many times its best a server may take for a document before it counts as overloaded. Measured here, two workers'
/// requests in flight at once take up to twice as long each as one alone does.
const SLOW: f64 = 4.0;
/// By how much the best time is forgotten with each answer: an index that has grown is slower for good, and is not to be
/// held to what it once was.
const FORGET: f64 = 1.01;

/// One worker's limit.
#[derive(Debug)]
pub struct Flight {
    most: f64,
    now: f64,
    /// Documents of a request from which on its time says something.
    enough: usize,
    /// Documents of a request, and the most.
    documents: usize,
    most_documents: usize,
    /// Seconds a document took at best.
    best: f64,
}

// === impl Flight ===

impl Flight {
    /// At most `most` requests, of at most `documents` each.
    pub fn new(most: usize, documents: usize) -> Self {
        Self {
            most: most.max(1) as f64,
            now: most.max(1) as f64,
            enough: documents / 2,
            documents,
            most_documents: documents,
            best: f64::INFINITY,
        }
    }

    /// How many there may be now.
    pub fn limit(&self) -> usize {
        self.now as usize
    }

    /// How many documents a request may hold now.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// The server did not answer in time, and took no more than this many documents at once after that.
    pub fn late(&mut self, documents: usize) {
        self.documents = self.documents.min(documents).max(1);
    }

    /// The server has refused a request for now, or was away.
    pub fn refused(&mut self) {
        self.now = (self.now / 2.0).max(1.0);
    }

    /// The server has taken this many documents in one request.
    pub fn answered(&mut self, documents: usize, took: Duration) {
        self.documents = (self.documents + self.documents.div_ceil(2)).min(self.most_documents);
        if documents > self.enough {
            let each = took.as_secs_f64() / documents as f64;
            self.best = each.min(self.best * FORGET);
            if each > self.best * SLOW {
                self.now = (self.now - 1.0).max(1.0);
                return;
            }
        }
        self.now = (self.now + 1.0 / self.now).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(10);

    #[test]
    fn refusals_halve_it_and_answers_bring_it_back() {
        let mut flight = Flight::new(8, 100);
        assert_eq!(flight.limit(), 8);
        flight.refused();
        flight.refused();
        assert_eq!(flight.limit(), 2);
        for _ in 0..10 {
            flight.refused();
        }
        assert_eq!(flight.limit(), 1);
        flight.answered(100, FAST);
        assert_eq!(flight.limit(), 2);
        for _ in 0..50 {
            flight.answered(100, FAST);
        }
        assert_eq!(flight.limit(), 8);
    }

    #[test]
    fn a_server_that_became_slow_gets_one_less_with_each_answer() {
        let mut flight = Flight::new(4, 100);
        flight.answered(100, FAST);
        flight.answered(100, FAST * 3);
        assert_eq!(flight.limit(), 4);
        flight.answered(100, FAST * 5);
        assert_eq!(flight.limit(), 3);
        // It stays so slow: after a while that is what it can do.
        for _ in 0..300 {
            flight.answered(100, FAST * 5);
        }
        assert_eq!(flight.limit(), 4);
    }

    #[test]
    fn a_server_that_is_late_gets_smaller_requests_until_it_answers_them() {
        let mut flight = Flight::new(4, 1_000);
        assert_eq!(flight.documents(), 1_000);
        flight.late(125);
        flight.late(250);
        assert_eq!(flight.documents(), 125);
        flight.answered(125, FAST);
        assert_eq!(flight.documents(), 188);
        for _ in 0..10 {
            flight.answered(200, FAST);
        }
        assert_eq!(flight.documents(), 1_000);
        flight.late(0);
        assert_eq!(flight.documents(), 1);
        flight.answered(1, FAST);
        assert_eq!(flight.documents(), 2);
    }

    #[test]
    fn a_few_documents_say_nothing_of_the_server() {
        let mut flight = Flight::new(2, 1_000);
        flight.answered(1_000, FAST);
        flight.answered(1, FAST);
        assert_eq!(flight.limit(), 2);
    }
}
