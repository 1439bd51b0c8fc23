//! Who is held up because long work never takes the last slots, and who because jobs were claimed ahead of the slots.

use super::*;

const STEP: Duration = Duration::from_millis(100);
const MAIL: i64 = 1;

/// A busy tenant with short jobs beside importers, each with jobs of a length of its own; returns the importers'
/// worker-seconds.
fn imported(lengths: &[u64], steps: u32) -> Vec<f64> {
    let mut world = World::new();
    // Its virtual time runs fast: a lead of an importer must not be lost to it.
    world.scheduler.set_weight(MAIL, 0.1);
    let importers = 2..2 + lengths.len() as i64;
    for tenant in importers.clone() {
        (0..40).for_each(|_| world.queue(urgent(tenant), 5, 1, false));
    }
    (0..SLOTS as u32 * steps).for_each(|_| world.queue(urgent(MAIL), 5, 0, false));
    let mut began: BTreeMap<Uuid, Duration> = BTreeMap::new();
    let mut worked = vec![0.0; lengths.len()];
    for _ in 0..steps {
        world.look();
        fill(&mut world);
        for job in &world.held {
            began.entry(job.id).or_insert(world.now);
        }
        world.now += STEP;
        let ran = |job: &ClaimedJob| world.now - began[&job.id];
        // One slot at a time is free: most plans don't get as far as those who are ahead.
        let mail = world.held.iter().find(|job| job.lane.tenant == MAIL).map(|job| job.id);
        let is_over = |job: &ClaimedJob| match job.lane.tenant {
            MAIL => Some(job.id) == mail,
            importer => ran(job).as_millis() as u64 >= lengths[importer as usize - 2],
        };
        for job in world.held.iter().filter(|job| job.lane.tenant != MAIL) {
            worked[job.lane.tenant as usize - 2] += STEP.as_secs_f64();
        }
        let (over, held): (Vec<_>, Vec<_>) = world.held.iter().cloned().partition(is_over);
        for job in over {
            world.scheduler.finished(job.id, Some(ran(&job)));
            world.scheduler.settled(job.id, world.now);
        }
        world.held = held;
    }
    worked
}

/// As the claim loop does: until there is nobody to ask.
pub(super) fn fill(world: &mut World) {
    loop {
        world.plan(world.scheduler.free());
        if world.planned.is_empty() {
            return;
        }
        world.claim(0, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn those_whose_long_work_is_held_up_share_the_slots_that_it_may_take(
        lengths in prop::collection::vec(5_500u64..15_000, 7..14),
    ) {
        let worked = imported(&lengths, 2000);
        let (least, most) = worked.iter().fold((f64::MAX, 0.0_f64), |(least, most), worked| {
            (least.min(*worked), most.max(*worked))
        });
        // Two jobs of the longest: one that has just begun, and one more because a running job is taken away from nobody.
        prop_assert!(most - least <= 31.0, "{worked:?}");
    }
}

/// A claim, and the first jobs that were claimed return; they take no time worth mentioning.
fn claim_and_finish(world: &mut World, jobs: usize) {
    world.look();
    world.plan(world.scheduler.free());
    world.claim(0, None);
    for job in world.held.iter().take(jobs) {
        world.scheduler.finished(job.id, Some(Duration::from_micros(100)));
    }
    world.settle(jobs);
    world.now += Duration::from_millis(1);
}

#[test]
fn work_that_is_too_long_to_be_claimed_ahead_has_its_turn_beside_a_flood_of_work_that_is_not() {
    let mut world = World::new();
    (0..2000).for_each(|_| world.queue(urgent(1), 5, 0, false));
    (0..40).for_each(|_| claim_and_finish(&mut world, 6));
    assert!(world.scheduler.running() > SLOTS, "jobs are claimed ahead of the slots");
    world.queue(urgent(2), 5, 1, true);
    let has_begun = |world: &World| world.plans.iter().flatten().any(|take| take.lane.tenant == 2);
    let turns = (0..40).take_while(|_| {
        claim_and_finish(&mut world, 6);
        !has_begun(&world)
    });
    let turns = turns.count();
    assert!(turns <= 8, "after {turns} rounds, of which five empty the slots of what was claimed ahead");
}

#[test]
fn what_is_declared_long_leaves_the_reserve_though_what_ran_in_its_lane_before_was_short() {
    for before in [0, 1] {
        let mut world = World::new();
        world.queue(urgent(1), 5, before, false);
        claim_and_finish(&mut world, 1);
        (0..40).for_each(|_| world.queue(urgent(1), 5, 1, false));
        for _ in 0..5 {
            world.look();
            fill(&mut world);
        }
        assert_eq!(
            world.scheduler.running(),
            6,
            "of eight slots a quarter stays free; before: {}",
            KINDS[before]
        );
    }
}
