//! The newer calls (`support/newer.rs`), some of which wait for their time.

use strongroom::Position;

use super::*;
use crate::newer::{self, Around, CALLS};

/// An image, with what was around the store at that moment.
struct Taken {
    dir: TempDir,
    what: String,
    seed: u64,
    acknowledged: usize,
    around: Around,
    told: Vec<Position>,
}

/// A run of all calls: the images that were taken, and how many moments there were.
fn run(template: &TempDir, entries: Entries, picks: Picks) -> (Vec<Taken>, u64) {
    let (dir, path) = support::copied(template);
    let disk = PowerDisk::new(dir.path(), entries).unwrap();
    let (around, done) = (Around::new(), Arc::new(AtomicUsize::new(0)));
    let images = Arc::new(Mutex::new(Vec::new()));
    let (seen, count, taken) = (around.clone(), Arc::clone(&done), Arc::clone(&images));
    disk.watch(move |moment| {
        for (style, seed) in picks.get(&moment.number()).into_iter().flatten() {
            // Before anything is looked at: what returns, is told or passes from now on does not count.
            let around = seen.frozen();
            let told = seen.told();
            let acknowledged = count.load(Ordering::SeqCst);
            let dir = scratch();
            moment.image(*style, *seed, dir.path()).unwrap();
            let what =
                format!("newer calls, {entries:?}, moment {}, {style:?}, {seed}", moment.number());
            let image = Taken { dir, what, seed: *seed, acknowledged, around, told };
            taken.lock().unwrap().push(image);
        }
    });
    let store = around.builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    for call in &CALLS {
        around.make(&store, call).unwrap_or_else(|err| panic!("{}: {err:?}", call.what));
        done.fetch_add(1, Ordering::SeqCst);
    }
    store.close().unwrap();
    disk.stop();
    let images = std::mem::take(&mut *images.lock().unwrap());
    (images, disk.moments())
}

/// What is there before the first call and behind each.
fn contents(template: &TempDir) -> Vec<String> {
    let (_dir, path) = support::copied(template);
    let around = Around::new();
    let store = around.builder().open(&path).unwrap();
    let mut contents = vec![newer::unnamed(&newer::content(&store).unwrap())];
    for call in &CALLS {
        around.make(&store, call).unwrap();
        contents.push(newer::unnamed(&newer::content(&store).unwrap()));
    }
    contents
}

/// Whether the call that was under way is there.
fn check(image: &Taken, what: &str, path: &Path, wanted: &[String]) -> bool {
    let kept = keep(path);
    let found = in_time(what, || newer::sound(path, &image.around, &image.told));
    let found = newer::unnamed(&found.unwrap_or_else(|err| panic!("{what}: {err:?}")));
    let n = image.acknowledged;
    let ahead = found != wanted[n];
    assert!(
        !ahead || wanted.get(n + 1) == Some(&found),
        "{what}, seed {}: not as after {n} calls or the one under way, but as after {:?}\n{found}\nwanted\n{}",
        seed(),
        wanted.iter().position(|then| *then == found),
        wanted[n],
    );
    if let Some(kept) = kept {
        fs::remove_dir_all(kept).unwrap();
    }
    ahead
}

#[test]
fn newer_calls_survive() {
    let template = scratch();
    let store = Around::new().builder().create(template.path().join("store")).unwrap();
    newer::prepare(&store);
    store.close().unwrap();
    let (wanted, mut tally) = (contents(&template), Tally::default());
    for (n, entries) in [Entries::File, Entries::Dir].into_iter().enumerate() {
        let mut random = Random::new(seed().wrapping_mul(2) + n as u64);
        let moments = run(&template, entries, Picks::new()).1;
        assert!(moments > 2 * CALLS.len() as u64, "only {moments} moments");
        for _ in 0..cases(IMAGES).div_ceil(IMAGES_A_RUN) {
            let mut picks = Picks::new();
            for _ in 0..IMAGES_A_RUN {
                let style = Style::ALL[random.below(Style::ALL.len())];
                let at = random.below(usize::try_from(moments).unwrap()) as u64;
                picks.entry(at).or_default().push((style, random.next()));
            }
            let images = in_time("newer calls", || run(&template, entries, picks).0);
            for image in &images {
                let nested = tally.one_more(&image.dir, NESTED_EVERY);
                let path = image.dir.path().join("store");
                tally.ahead += usize::from(check(image, &image.what, &path, &wanted));
                let Some(nested) = nested else { continue };
                let what = format!("{}, cut again", image.what);
                if let Some(second) = in_time(&what, || {
                    recover_and_cut(&nested, image.seed, || image.around.frozen().builder())
                }) {
                    tally.cut_again();
                    check(image, &what, &second.path().join("store"), &wanted);
                }
            }
        }
    }
    tally.print("newer calls");
    tally.check();
}

/// What is built of a backup is there wholly once that is acknowledged, and before wholly or not at all.
#[test]
fn a_restore_survives_a_loss_of_power_at_every_moment() {
    const STYLES: [Style; 3] = [Style::Drop, Style::Random, Style::Reorder];
    let (dir, around) = (scratch(), Around::new());
    let store = around.builder().create(dir.path().join("store")).unwrap();
    newer::prepare(&store);
    let mut backup = Vec::new();
    store.backup(&mut backup, |_| {}).unwrap();
    store.close().unwrap();
    let (mut images, mut whole) = (0, 0);
    for entries in [Entries::File, Entries::Dir] {
        let mut at = 0;
        loop {
            let what = format!("restore, {entries:?}, moment {at}, seed {}", seed());
            let taken = in_time(&what, || restored(&backup, &around, entries, at, &STYLES));
            let Some((then, taken)) = taken else { break };
            for (acknowledged, image) in taken {
                let path = image.path().join("store");
                let kept = keep(&path);
                let found = in_time(&what, || match around.frozen().builder().open(&path) {
                    Err(err) if err.kind() == ErrorKind::NotAStore && !acknowledged => None,
                    opened => {
                        let store = opened.unwrap_or_else(|err| panic!("{what}: {err:?}"));
                        store.verify().unwrap_or_else(|err| panic!("{what}: {err:?}"));
                        Some(newer::content(&store).unwrap())
                    }
                });
                images += 1;
                whole += usize::from(found.is_some());
                assert!(found.is_none_or(|found| found == then), "{what}: another store");
                kept.map_or(Ok(()), fs::remove_dir_all).unwrap();
            }
            at += 1;
        }
    }
    println!("a restore: {images} images, a whole store in {whole} of them, none in the others");
    assert!(images >= 150 && whole >= 5 && images > whole, "{images} images, {whole} whole");
}

/// The store as it was restored, and images of one moment, with whether that was acknowledged by then.
/// `None` if there is no such moment.
fn restored(
    backup: &[u8],
    around: &Around,
    entries: Entries,
    at: u64,
    styles: &[Style],
) -> Option<(String, Vec<(bool, TempDir)>)> {
    let dir = scratch();
    let disk = PowerDisk::new(dir.path(), entries).unwrap();
    let (done, images) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (count, taken, styles) = (Arc::clone(&done), Arc::clone(&images), styles.to_vec());
    disk.watch(move |moment| {
        for style in styles.iter().filter(|_| moment.number() == at) {
            let acknowledged = count.load(Ordering::SeqCst) > 0;
            let dir = scratch();
            moment.image(*style, seed() ^ at, dir.path()).unwrap();
            taken.lock().unwrap().push((acknowledged, dir));
        }
    });
    let builder = around.frozen().builder().disk(Arc::new(disk.clone()));
    let path = dir.path().join("store");
    let store = builder.restore(&path, &mut std::io::Cursor::new(backup), |_| {}).unwrap();
    done.fetch_add(1, Ordering::SeqCst);
    let then = newer::content(&store).unwrap();
    store.close().unwrap();
    disk.stop();
    let images = std::mem::take(&mut *images.lock().unwrap());
    (!images.is_empty()).then_some((then, images))
}
