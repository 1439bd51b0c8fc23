//! Properties of the scheduler, over random sequences of everything that can happen to it.

mod room;
mod suspects;
mod turns;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::fair::Scope;
use world::World;

const QUEUES: usize = 2;
const TENANTS: i64 = 4;
const SLOTS: usize = 8;
const AHEAD: usize = 20;
/// The first two are served, the second is declared long; nobody serves the third.
const KINDS: [&str; 3] = ["mail", "import", "foreign"];

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A job is queued, and perhaps a wake-up sent.
    Queue { lane: LaneId, priority: i64, kind: usize, hint: bool },
    /// Discovery reports the head of each lane.
    Look,
    /// Slots are planned for.
    Plan { free: usize },
    /// Suspects are found, and one is planned for.
    Suspects { lanes: Vec<LaneId> },
    /// The claim comes back, after others have taken some jobs.
    Claim { stolen: usize, narrow: Option<usize> },
    /// The claim fails.
    Fail,
    /// The handlers of the first jobs return.
    Finish { jobs: usize, ms: u64 },
    /// The first jobs are settled.
    Settle { jobs: usize },
    /// The first job goes back to its lane.
    Return,
    /// A lane has used up its rate.
    Rest { lane: LaneId, ms: u64 },
    /// A limit is set or lifted.
    Permits { tenant: i64, scope: Scope, permits: Option<usize> },
    /// The permits that are not used are offered, and this many are left.
    Exchange { kept: usize },
    /// Time goes by.
    Wait { ms: u64 },
}

fn lane() -> impl Strategy<Value = LaneId> {
    (0..QUEUES, 1..=TENANTS).prop_map(|(queue, tenant)| LaneId { queue, tenant })
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Total), (0..QUEUES).prop_map(Scope::Queue)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (lane(), 0i64..10, 0usize..3, any::<bool>())
            .prop_map(|(lane, priority, kind, hint)| Step::Queue { lane, priority, kind, hint }),
        3 => Just(Step::Look),
        4 => (0usize..120).prop_map(|free| Step::Plan { free }),
        1 => prop::collection::vec(lane(), 0..3).prop_map(|lanes| Step::Suspects { lanes }),
        4 => (0usize..3, prop::option::weighted(0.2, 0usize..3))
            .prop_map(|(stolen, narrow)| Step::Claim { stolen, narrow }),
        1 => Just(Step::Fail),
        3 => (1usize..6, 0u64..9000).prop_map(|(jobs, ms)| Step::Finish { jobs, ms }),
        3 => (1usize..6).prop_map(|jobs| Step::Settle { jobs }),
        1 => Just(Step::Return),
        1 => (lane(), 0u64..3000).prop_map(|(lane, ms)| Step::Rest { lane, ms }),
        2 => (1..=TENANTS, scope(), prop::option::of(0usize..4))
            .prop_map(|(tenant, scope, permits)| Step::Permits { tenant, scope, permits }),
        1 => (0usize..4).prop_map(|kept| Step::Exchange { kept }),
        2 => (0u64..2000).prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The world itself asserts this of each plan.
    #[test]
    fn a_plan_has_no_more_than_the_free_slots_each_lane_once_and_never_more_than_its_permits(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        World::after(&steps);
    }

    #[test]
    fn every_job_of_a_served_kind_is_claimed_as_long_as_heads_are_reported(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::after(&steps);
        world.scheduler.not_claimed(&std::mem::take(&mut world.planned));
        world.lift_all_limits();
        world.now += Duration::from_secs(5);
        for _ in 0..steps.len() + 30 {
            world.round();
        }
        prop_assert_eq!(world.served_and_waiting(), 0, "{:?}", world.waiting);
        prop_assert!(world.held.is_empty() && world.scheduler.running() == 0);
    }

    #[test]
    fn a_plan_that_comes_to_nothing_leaves_everything_as_it_was(
        steps in prop::collection::vec(step(), 1..120),
        free in 1usize..120,
        narrowed in prop::option::of(0usize..3),
    ) {
        let [mut with, mut without] = [World::after(&steps), World::after(&steps)];
        for world in [&mut with, &mut without] {
            world.scheduler.not_claimed(&std::mem::take(&mut world.planned));
            // What was parked in a plan is called at the next one.
            world.lift_all_limits();
            world.look();
        }
        let mut takes = with.scheduler.plan(free, with.now);
        if let Some(count) = narrowed {
            takes.iter_mut().for_each(|take| with.scheduler.narrow(take, count));
        }
        with.scheduler.not_claimed(&takes);
        for _ in 0..5 {
            with.round();
            without.round();
            prop_assert_eq!(with.plans.last(), without.plans.last());
        }
    }

    #[test]
    fn the_same_input_gives_the_same_plans(steps in prop::collection::vec(step(), 1..150)) {
        prop_assert_eq!(World::after(&steps).plans, World::after(&steps).plans);
    }
}

fn urgent(tenant: i64) -> LaneId {
    LaneId { queue: 0, tenant }
}

/// One slot's worth of claims, and who got them.
fn shares_of(world: &mut World, rounds: usize) -> BTreeMap<i64, usize> {
    let mut got = BTreeMap::new();
    for _ in 0..rounds {
        world.look();
        world.plan(1);
        world.planned.iter().for_each(|take| *got.entry(take.lane.tenant).or_default() += take.count);
        world.claim(0, None);
        let running = world.held.len();
        world.take(&Step::Finish { jobs: running, ms: 1000 });
        world.settle(running);
        world.now += Duration::from_secs(1);
    }
    got
}

#[test]
fn a_newcomer_does_not_start_at_the_time_of_one_who_gets_little_because_its_queue_is_a_later_one() {
    let mut world = World::new();
    for _ in 0..400 {
        world.queue(urgent(1), 5, 0, false);
        world.queue(LaneId { queue: 1, tenant: 2 }, 5, 0, false);
    }
    shares_of(&mut world, 300);
    for _ in 0..100 {
        world.queue(urgent(3), 5, 0, false);
    }
    let got = shares_of(&mut world, 40);
    assert!(got.get(&1).is_some_and(|jobs| *jobs >= 15), "{got:?}");
}

#[test]
fn permits_are_free_again_for_another_lane_when_a_claim_brings_nothing() {
    let mut world = World::new();
    world.set_permits(1, Scope::Total, Some(1));
    world.scheduler.hinted(urgent(1), 5, world.now);
    world.plan(8);
    world.queue(LaneId { queue: 1, tenant: 1 }, 5, 0, true);
    world.claim(0, None);
    world.plan(8);
    assert_eq!(world.planned.len(), 1, "the hint was in vain, the other lane's turn has come");
    assert_eq!(world.scheduler.parked().count(), 0);
}

#[test]
fn a_limit_that_is_set_while_a_claim_is_under_way_counts_what_it_brings() {
    let mut world = World::new();
    for _ in 0..9 {
        world.queue(urgent(1), 5, 0, true);
    }
    world.plan(3);
    world.set_permits(1, Scope::Total, Some(4));
    world.claim(0, None);
    world.plan(8);
    assert_eq!(world.planned.iter().map(|take| take.count).sum::<usize>(), 1);
}

#[test]
fn a_job_that_ends_on_a_permit_of_another_process_says_so() {
    let mut world = World::new();
    for tenant in 1..=2 {
        world.set_permits(tenant, Scope::Total, Some(1));
        world.queue(urgent(tenant), 5, 0, true);
    }
    world.plan(8);
    world.claim(0, None);
    world.set_permits(1, Scope::Total, Some(0));
    for job in std::mem::take(&mut world.held) {
        let wanted_elsewhere = world.scheduler.settled(job.id, world.now);
        assert_eq!(wanted_elsewhere, job.lane.tenant == 1);
    }
}

#[test]
fn permits_are_exchanged_for_those_with_work_and_for_the_idle_once_more_and_no_longer() {
    let mut world = World::new();
    let limited: Vec<(i64, Scope)> = (1..=1000).map(|tenant| (tenant, Scope::Total)).collect();
    world.scheduler.keep_limits(&limited, world.now);
    assert_eq!(world.scheduler.claimants(), []);
    let one = [(7, Scope::Total)];
    world.scheduler.hinted(urgent(7), 5, world.now);
    assert_eq!(world.scheduler.claimants(), one);
    assert!(world.scheduler.demands(&one)[0].wanted > 0);
    world.set_permits(7, Scope::Total, Some(1));
    world.plan(8);
    world.claim(0, None);
    assert_eq!(world.scheduler.claimants(), one, "the claim brought nothing, and a permit is held");
    assert_eq!(world.scheduler.demands(&one)[0].wanted, 0);
    world.set_permits(7, Scope::Total, Some(0));
    assert_eq!(world.scheduler.claimants(), []);
}
