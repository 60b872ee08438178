use std::collections::{BTreeMap, VecDeque};

/// How a request fares when its connection or its session is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Changes nothing: may be asked again at any time, in any session.
    Read,
    /// Changes something: its identity is (session, sequence), so a repeat is safe within the session only.
    Mutation,
    /// Asks for a flow of events on this connection. Not repeated: whoever owns the subscription asks anew.
    Subscription,
    /// Creates an execution and waits for its end. Once answered it stays as a wait. The execution is cancelled with
    /// the session.
    Call,
    /// Waits for the end of an execution that is somebody else's.
    Wait,
}

/// A request that has been made and not been answered.
#[derive(Debug)]
struct Unanswered<B, W> {
    class: Class,
    body: B,
    waiter: W,
    /// The server may have carried it out: it has been on a connection, or stands for a wait that has.
    tainted: bool,
    /// It is on the present connection.
    in_flight: bool,
    /// The sequences under which it waited on former connections.
    former: Vec<u64>,
}

/// An execution whose end is waited for, after the request that asked for it has been answered.
#[derive(Debug)]
struct Waiting<B, W> {
    class: Class,
    body: B,
    waiter: W,
    former: Vec<u64>,
}

/// What of a session survives a connection: the requests without an answer, the waits without an end, and what the
/// server has not been told that we received.
///
/// `B` is what must be kept to send a request (again), `W` whoever waits for its answer.
#[derive(Debug)]
pub(crate) struct Session<B, W> {
    next: u64,
    unanswered: BTreeMap<u64, Unanswered<B, W>>,
    /// Sequences to send, ascending.
    queue: VecDeque<u64>,
    /// Of the unanswered ones, how many are on the present connection.
    in_flight: u64,
    /// `Limits.requests_in_flight`.
    limit: u64,
    waiting: BTreeMap<u64, Waiting<B, W>>,
    /// Ends of calls that arrived and that the server may forget.
    received: Vec<u64>,
    /// Sent as received, but with no proof yet that it arrived: a request numbered (.0) or higher that is answered
    /// was sent later on the same connection, and is that proof.
    unproven: VecDeque<(u64, u64)>,
    /// The last acknowledgement sent on this connection.
    acknowledged: u64,
}

/// What answering a request frees.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered<B, W> {
    /// Nobody has asked for this (any more): a repeat of an answer.
    Unknown,
    /// The request is done.
    Done(B, W),
    /// The request was one that waits for an end, and goes on waiting.
    Waits,
}

impl<B, W> Session<B, W> {
    pub(crate) fn new() -> Self {
        Session {
            next: 1,
            unanswered: BTreeMap::new(),
            queue: VecDeque::new(),
            in_flight: 0,
            limit: 1,
            waiting: BTreeMap::new(),
            received: Vec::new(),
            unproven: VecDeque::new(),
            acknowledged: 0,
        }
    }

    /// Sets what the server takes at once.
    pub(crate) fn limit(&mut self, requests_in_flight: u64) {
        self.limit = requests_in_flight.max(1);
    }

    /// Queues a request behind all others.
    pub(crate) fn push(&mut self, class: Class, body: B, waiter: W) -> u64 {
        self.insert(class, body, waiter, false, Vec::new())
    }

    fn insert(&mut self, class: Class, body: B, waiter: W, tainted: bool, former: Vec<u64>) -> u64 {
        let sequence = self.next;
        self.next += 1;
        let entry = Unanswered { class, body, waiter, tainted, in_flight: false, former };
        self.unanswered.insert(sequence, entry);
        self.queue.push_back(sequence);
        sequence
    }

    /// Takes the next request to send, if the server may have one more. The body is lent to be fixed: what is kept
    /// for a repeat must be what was sent.
    pub(crate) fn take(&mut self) -> Option<(u64, &mut B)> {
        if self.in_flight >= self.limit {
            return None;
        }
        let sequence = loop {
            let sequence = self.queue.pop_front()?;
            // Withdrawn requests leave their number behind.
            if self.unanswered.contains_key(&sequence) {
                break sequence;
            }
        };
        let entry = self.unanswered.get_mut(&sequence)?;
        entry.tainted = true;
        entry.in_flight = true;
        self.in_flight += 1;
        Some((sequence, &mut entry.body))
    }

    /// Whether `take` would give something.
    pub(crate) fn can_take(&self) -> bool {
        self.in_flight < self.limit && !self.queue.is_empty()
    }

    /// How many requests wait to be sent.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many requests and waits there are.
    pub(crate) fn unfinished(&self) -> usize {
        self.unanswered.len() + self.waiting.len()
    }

    /// How many requests are on the present connection without an answer.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Withdraws a request that has not been sent.
    pub(crate) fn withdraw(&mut self, sequence: u64) -> Option<W> {
        if self.unanswered.get(&sequence).is_some_and(|entry| !entry.tainted) {
            return self.unanswered.remove(&sequence).map(|entry| entry.waiter);
        }
        None
    }

    /// The server carried a request out.
    pub(crate) fn succeeded(&mut self, sequence: u64) -> Answered<B, W> {
        let Some(entry) = self.remove(sequence) else { return Answered::Unknown };
        if matches!(entry.class, Class::Call | Class::Wait) {
            let Unanswered { class, body, waiter, former, .. } = entry;
            self.waiting.insert(sequence, Waiting { class, body, waiter, former });
            return Answered::Waits;
        }
        Answered::Done(entry.body, entry.waiter)
    }

    /// The server refused a request.
    pub(crate) fn failed(&mut self, sequence: u64) -> Answered<B, W> {
        match self.remove(sequence) {
            Some(entry) => Answered::Done(entry.body, entry.waiter),
            None => match self.waiting.remove(&sequence) {
                Some(wait) => Answered::Done(wait.body, wait.waiter),
                None => Answered::Unknown,
            },
        }
    }

    /// The server could not take a request now: it stays without an answer until the next connection.
    pub(crate) fn postponed(&mut self, sequence: u64) {
        if let Some(entry) = self.unanswered.get_mut(&sequence) {
            self.in_flight -= u64::from(std::mem::take(&mut entry.in_flight));
        }
    }

    /// The end came that a request waits for, with or without an answer before it.
    pub(crate) fn completed(&mut self, sequence: u64) -> Option<W> {
        let wait = match self.waiting.remove(&sequence) {
            Some(wait) => Some((wait.class, wait.waiter, wait.former)),
            None => self.remove(sequence).map(|entry| (entry.class, entry.waiter, entry.former)),
        };
        let Some((class, waiter, former)) = wait else {
            // A repeat: the server does not know yet that we have it.
            self.received.push(sequence);
            return None;
        };
        if class == Class::Call {
            self.received.extend(former);
            self.received.push(sequence);
        }
        Some(waiter)
    }

    fn remove(&mut self, sequence: u64) -> Option<Unanswered<B, W>> {
        let entry = self.unanswered.remove(&sequence)?;
        self.in_flight -= u64::from(entry.in_flight);
        while self.unproven.front().is_some_and(|(proof, _)| *proof <= sequence) {
            self.unproven.pop_front();
        }
        Some(entry)
    }

    /// An answer was the end of a call by itself: the server may forget the execution.
    pub(crate) fn note_received(&mut self, sequence: u64) {
        self.received.push(sequence);
    }

    /// Ends to report as received, once per connection and again on the next one unless proven.
    pub(crate) fn take_received(&mut self) -> Vec<u64> {
        let received = std::mem::take(&mut self.received);
        // The queue's head, not `next`: what is queued now is sent after this frame, and its answer is a proof.
        let proof = self.queue.front().copied().unwrap_or(self.next);
        self.unproven.extend(received.iter().map(|&sequence| (proof, sequence)));
        received
    }

    pub(crate) fn has_received(&self) -> bool {
        !self.received.is_empty()
    }

    /// The acknowledgement to send: every outcome up to it has been received. `None` when the server knows.
    pub(crate) fn take_acknowledged(&mut self) -> Option<u64> {
        let floor = self.unanswered.keys().next().copied().unwrap_or(self.next) - 1;
        (floor > self.acknowledged).then(|| {
            self.acknowledged = floor;
            floor
        })
    }

    /// The connection is gone. What is without an answer will be sent again, first and in order; the requests for
    /// subscriptions are dropped and given back.
    pub(crate) fn lost(&mut self) -> Vec<W> {
        self.in_flight = 0;
        let dropped: Vec<u64> = self
            .unanswered
            .iter()
            .filter(|(_, entry)| entry.class == Class::Subscription)
            .map(|(&sequence, _)| sequence)
            .collect();
        let dropped = dropped.into_iter().filter_map(|sequence| self.unanswered.remove(&sequence));
        let dropped = dropped.map(|entry| entry.waiter).collect();
        self.unanswered.values_mut().for_each(|entry| entry.in_flight = false);
        self.queue = self.unanswered.keys().copied().collect();
        let unproven = std::mem::take(&mut self.unproven);
        self.received.extend(unproven.into_iter().map(|(_, sequence)| sequence));
        dropped
    }

    /// The same session is attached again: the waits of the former connection are registered anew.
    pub(crate) fn resumed(&mut self) {
        self.acknowledged = 0;
        for (sequence, mut wait) in std::mem::take(&mut self.waiting) {
            wait.former.push(sequence);
            // Tainted: the execution exists already, it must not be created again in another session.
            self.insert(wait.class, wait.body, wait.waiter, true, wait.former);
        }
    }

    /// The session has lapsed and another one begins: gives back what must fail because nobody can tell whether it
    /// took effect. Reads, and what was never sent, go on in the new session; so do waits for others' executions.
    pub(crate) fn expired(&mut self) -> Vec<W> {
        self.received.clear();
        self.unproven.clear();
        self.acknowledged = 0;
        let mut lapsed = Vec::new();
        for (sequence, entry) in std::mem::take(&mut self.unanswered) {
            if entry.tainted && matches!(entry.class, Class::Mutation | Class::Call) {
                lapsed.push(entry.waiter);
            } else {
                self.unanswered.insert(sequence, Unanswered { tainted: false, in_flight: false, ..entry });
            }
        }
        for wait in std::mem::take(&mut self.waiting).into_values() {
            match wait.class {
                Class::Call => lapsed.push(wait.waiter),
                class => _ = self.insert(class, wait.body, wait.waiter, false, Vec::new()),
            }
        }
        self.in_flight = 0;
        self.queue = self.unanswered.keys().copied().collect();
        lapsed
    }

    /// Nothing will ever be answered: gives everybody back who waits.
    pub(crate) fn drain(&mut self) -> Vec<W> {
        self.queue.clear();
        self.in_flight = 0;
        let unanswered = std::mem::take(&mut self.unanswered).into_values().map(|entry| entry.waiter);
        let waiting = std::mem::take(&mut self.waiting).into_values().map(|wait| wait.waiter);
        unanswered.chain(waiting).collect()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
