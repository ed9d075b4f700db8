//! Takes layers in and mounts them, and says how long that takes: `layers FOLDER DIFF_ID=FILE…`.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::Instant;

    use berth_runner::Roots;
    use berth_runner::layers::{LayerStore, Limits};

    let mut arguments = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(arguments.next().ok_or("which folder?")?);
    let roots = Roots::new(folder.join("data"), folder.join("run"));
    let store = LayerStore::open(&roots)?;
    println!("kept as {}", store.rung()?);
    let mut layers = Vec::new();
    for argument in arguments {
        let (diff_id, file) = argument.split_once('=').ok_or("DIFF_ID=FILE is what is wanted")?;
        layers.push((diff_id.parse()?, file.to_owned()));
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (diff_id, file) in &layers {
            let store = &store;
            scope.spawn(move || {
                let result = std::fs::File::open(file)
                    .map_err(Into::into)
                    .and_then(|mut file| store.ingest(diff_id, &Limits::default(), &mut file));
                if let Err(error) = result {
                    eprintln!("{file}: {error}");
                }
            });
        }
    });
    println!("taken in after {:?}", start.elapsed());
    let layers: Vec<_> = layers.into_iter().map(|(diff_id, _)| diff_id).collect();
    let (writable, target) = (folder.join("writable"), folder.join("target"));
    std::fs::create_dir_all(&target)?;
    for _ in 0..10 {
        let start = Instant::now();
        store.mount_root(&layers, &writable, &target)?;
        let mounted = start.elapsed();
        let start = Instant::now();
        store.unmount_root(&target)?;
        println!("mounted in {mounted:?}, unmounted in {:?}", start.elapsed());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
