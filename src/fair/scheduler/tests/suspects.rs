//! Suspects beside the ordinary jobs of limited tenants.

use super::*;

const LATER: LaneId = LaneId { queue: 1, tenant: 1 };

/// A tenant with ordinary work and so many permits in total.
fn busy(permits: usize) -> World {
    let mut world = World::new();
    world.set_permits(1, Scope::Total, Some(permits));
    for _ in 0..20 {
        world.queue(urgent(1), 5, 0, true);
    }
    world
}

fn planned(world: &World) -> usize {
    world.planned.iter().map(|take| take.count).sum()
}

#[test]
fn one_without_a_permit_waits_and_another_tenants_runs() {
    let mut world = World::new();
    world.set_permits(1, Scope::Total, Some(0));
    assert_eq!(world.scheduler.suspects_wait(vec![LATER], world.now), SuspectChance::Later);
    assert_eq!(world.scheduler.plan_suspect(world.now), None);
    let chance = world.scheduler.suspects_wait(vec![LATER, urgent(2)], world.now);
    let take = world.scheduler.plan_suspect(world.now).expect("a slot");
    assert_eq!((chance, take.lane, take.count), (SuspectChance::Now, urgent(2), 1));
    assert!(take.suspect && take.keyed);
}

#[test]
fn one_that_runs_uses_a_permit_until_it_is_settled() {
    let mut world = World::new();
    world.set_permits(1, Scope::Total, Some(1));
    world.scheduler.suspects_wait(vec![LATER], world.now);
    let take = world.scheduler.plan_suspect(world.now).expect("a slot");
    let key = Key { priority: 5, run_at: 1, id: Uuid::from_u128(99) };
    let job = ClaimedJob { id: key.id, lane: LATER, key, kind: KINDS[0].into(), keyed: false };
    world.scheduler.claimed(&[take], &[job], Duration::from_millis(1), world.now);
    world.scheduler.suspects_wait(Vec::new(), world.now);
    world.queue(urgent(1), 5, 0, true);
    world.plan(SLOTS);
    assert_eq!(planned(&world), 0, "the permit is in use");
    world.claim(0, None);
    world.scheduler.settled(key.id, world.now);
    world.plan(SLOTS);
    assert_eq!(planned(&world), 1);
}

#[test]
fn a_permit_is_kept_for_one_among_its_tenants_own_jobs() {
    let mut world = busy(3);
    assert_eq!(world.scheduler.suspects_wait(vec![LATER], world.now), SuspectChance::Now);
    world.plan(SLOTS);
    assert_eq!(planned(&world), 2);
    world.claim(0, None);
    assert!(world.scheduler.plan_suspect(world.now).is_some(), "the third is the suspect's");
    world.scheduler.claimed(&[], &[], Duration::ZERO, world.now);
    world.scheduler.suspects_wait(Vec::new(), world.now);
    let mut world = busy(3);
    world.plan(SLOTS);
    assert_eq!(planned(&world), 3, "no suspect, no permit kept");
}

fn demanded(world: &mut World) -> Vec<Demand> {
    let claimants = world.scheduler.claimants();
    world.scheduler.demands(&claimants)
}

#[test]
fn a_permit_is_asked_for_where_only_a_suspect_waits() {
    let mut world = World::new();
    world.set_permits(1, Scope::Total, Some(0));
    world.scheduler.suspects_wait(vec![LATER], world.now);
    let demands = demanded(&mut world);
    assert_eq!(demands, [Demand { tenant: 1, scope: Scope::Total, running: 0, wanted: 1 }]);
    assert_eq!(world.scheduler.parked().collect::<Vec<_>>(), [LATER]);
    world.scheduler.suspects_wait(Vec::new(), world.now);
    assert_eq!(demanded(&mut world)[0].wanted, 0);
}

#[test]
fn a_first_permit_is_asked_for_where_everyone_is_limited() {
    let mut world = World::new();
    world.scheduler.limit_everyone(true);
    assert_eq!(world.scheduler.suspects_wait(vec![LATER], world.now), SuspectChance::Later);
    let demands = demanded(&mut world);
    assert_eq!(demands, [Demand { tenant: 1, scope: Scope::Total, running: 0, wanted: 1 }]);
}

#[test]
fn permits_on_offer_are_waited_for_a_moment() {
    let mut world = World::new();
    world.set_permits(1, Scope::Total, Some(1));
    world.scheduler.suspects_wait(vec![LATER], world.now);
    demanded(&mut world);
    assert!(matches!(world.scheduler.suspects_wait(vec![LATER], world.now), SuspectChance::In(_)));
    assert_eq!(world.scheduler.plan_suspect(world.now), None);
    world.set_permits(1, Scope::Total, Some(1));
    assert_eq!(world.scheduler.suspects_wait(vec![LATER], world.now), SuspectChance::Now);
}

#[test]
fn one_whose_rate_is_used_up_is_waited_for_only_a_moment() {
    let mut world = World::new();
    world.scheduler.hinted(LATER, 5, world.now);
    world.scheduler.rest(LATER, world.now + Duration::from_millis(40));
    let chance = world.scheduler.suspects_wait(vec![LATER], world.now);
    assert_eq!(chance, SuspectChance::In(Duration::from_millis(40)));
    assert_eq!(world.scheduler.plan_suspect(world.now), None);
    world.scheduler.rest(LATER, world.now + Duration::from_secs(40));
    assert_eq!(world.scheduler.suspects_wait(vec![LATER], world.now), SuspectChance::Later);
}
