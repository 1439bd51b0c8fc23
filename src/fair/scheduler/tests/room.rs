//! Who is asked to make room, and for whom.

use super::turns::fill;
use super::*;

const LEAST: Duration = Duration::from_secs(10);
const IMPORT: usize = 1;

/// Imports of two tenants hold all slots that long work may take, and have run for a while: five of the first, one of the
/// second.
fn held_by_imports() -> World {
    let mut world = World::new();
    (0..5).for_each(|_| world.queue(urgent(1), 5, IMPORT, false));
    world.look();
    fill(&mut world);
    world.queue(urgent(2), 5, IMPORT, false);
    world.look();
    fill(&mut world);
    world.now += Duration::from_secs(11);
    world
}

fn tenants(world: &World, asked: &[Uuid]) -> Vec<i64> {
    asked
        .iter()
        .filter_map(|id| world.held.iter().find(|job| job.id == *id))
        .map(|job| job.lane.tenant)
        .collect()
}

#[test]
fn one_job_of_whoever_runs_most_is_asked_for_each_tenant_that_has_nothing_running() {
    let mut world = held_by_imports();
    assert!(world.scheduler.make_room(LEAST, world.now).is_empty(), "somebody was asked while nobody waits");
    for tenant in [3, 4] {
        world.queue(urgent(tenant), 5, IMPORT, false);
    }
    world.look();
    fill(&mut world);
    // Half of the reserve is for the first of them.
    let starving = 2 - world.held.iter().filter(|job| job.lane.tenant > 2).count();
    assert_eq!(starving, 1);
    let asked = world.scheduler.make_room(LEAST, world.now);
    assert_eq!(tenants(&world, &asked), [1]);
    assert!(world.scheduler.make_room(LEAST, world.now).is_empty(), "another was asked for the same tenant");
    world.now += Duration::from_secs(31);
    let another = world.scheduler.make_room(LEAST, world.now);
    assert_eq!((another.len(), another == asked), (1, false), "the first may have no checkpoints");
}

#[test]
fn nobody_is_asked_who_has_not_run_for_a_while_or_would_only_come_back_at_once() {
    let mut world = held_by_imports();
    for tenant in [3, 4] {
        world.queue(LaneId { queue: 1, tenant }, 5, IMPORT, false);
    }
    world.look();
    fill(&mut world);
    assert!(world.scheduler.make_room(Duration::from_secs(60), world.now).is_empty());
    assert!(world.scheduler.make_room(LEAST, world.now).is_empty(), "work of an earlier queue was asked");
}

#[test]
fn long_work_is_not_asked_for_short_work_that_has_slots_of_its_own() {
    let mut world = held_by_imports();
    world.queue(urgent(3), 5, 0, false);
    world.look();
    fill(&mut world);
    world.scheduler.finished(world.held[6].id, Some(Duration::from_millis(5)));
    (3..20).for_each(|tenant| world.queue(urgent(tenant), 5, 0, false));
    world.look();
    fill(&mut world);
    assert!(world.scheduler.make_room(LEAST, world.now).is_empty());
}
