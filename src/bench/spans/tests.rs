use super::*;

fn record(at: u64, act: Act, pid: u32, tenant: i64, number: u64) -> Record {
    Record { at, act, pid, tenant, number }
}

#[test]
fn a_run_ends_with_its_handler_its_process_or_what_was_looked_at() {
    let records = [
        record(10, Act::Begin, 1, 7, 1),
        record(20, Act::Begin, 2, 7, 2),
        record(30, Act::End, 1, 7, 1),
        record(40, Act::Begin, 1, 8, 3),
        record(50, Act::Gone, 2, 0, 0),
    ];
    let spans = spans(&records, 100);
    let ends: Vec<_> = spans.iter().map(|span| (span.number, span.begin, span.end, span.done)).collect();
    assert_eq!(ends, [(1, 10, 30, true), (2, 20, 50, false), (3, 40, 100, false)]);
    assert_eq!(worked(&spans, 25, 45), BTreeMap::from([(7, 25e-6), (8, 5e-6)]));
    assert_eq!(peak(&records, 7), 2);
}

#[test]
fn a_place_that_a_killed_process_leaves_may_be_taken() {
    let records = [
        record(1, Act::Begin, 1, 7, 1),
        record(2, Act::Gone, 1, 0, 0),
        record(3, Act::Begin, 2, 7, 1),
        record(4, Act::End, 2, 7, 1),
        record(5, Act::Begin, 2, 7, 2),
    ];
    assert_eq!(peak(&records, 7), 1);
    let fates = fates(&records);
    assert_eq!((fates.began_again, fates.overlapped, fates.ended_twice), (1, 0, 0));
}

#[test]
fn waits_begin_before_the_dispatch_and_count_jobs_that_never_begin() {
    let records = [
        record(0, Act::Queued, 1, 7, 1),
        record(1000, Act::Queued, 1, 7, 2),
        record(2500, Act::Begin, 2, 7, 2),
        record(9000, Act::Queued, 1, 7, 3),
        record(11_000, Act::End, 2, 7, 2),
    ];
    let waits = waits(&records, 500, 10_000);
    assert_eq!((waits.ms, waits.unserved), (vec![1.5, 2.0], 1));
}

#[test]
fn the_busiest_window_slides() {
    let begins = [0, 900, 1000, 1100, 2100];
    let records = begins.map(|at| record(at, Act::Begin, 1, 7, at));
    assert_eq!(busiest_window(&records, 7, 1000), 3);
    assert_eq!(busiest_window(&records, 8, 1000), 0);
}

#[test]
fn lag_is_what_the_least_served_is_behind_an_equal_share() {
    let run = |tenant, begin, end| Span { tenant, number: 0, begin, end, done: true };
    let spans = [run(1, 0, 2_000_000), run(2, 2_000_000, 4_000_000)];
    assert_eq!(largest_lag(&spans, &[1, 2], 0, 4_000_000, 1_000_000), 1.0);
    assert_eq!(worst_jain(&spans, &[1, 2], 0, 4_000_000, 4_000_000), 1.0);
    assert_eq!(worst_jain(&spans, &[1, 2], 0, 5_000_000, 2_000_000), 0.5);
}

#[test]
fn a_job_is_lost_when_it_was_acknowledged_and_never_ended() {
    let records = [
        record(1, Act::Committed, 1, 7, 1),
        record(2, Act::Queued, 1, 7, 2),
        record(3, Act::Committed, 1, 7, 3),
        record(4, Act::Begin, 2, 7, 3),
        record(5, Act::Begin, 3, 7, 3),
        record(6, Act::End, 2, 7, 3),
        record(7, Act::End, 3, 7, 3),
    ];
    let expected = Fates { acknowledged: 2, lost: 1, ended_twice: 1, began_again: 1, overlapped: 1 };
    assert_eq!(fates(&records), expected);
}
