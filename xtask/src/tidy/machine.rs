//! Nothing in the repository is about the machine it was written on.

use super::{File, Finding};

/// Built from parts, so that this file does not break its own rule.
const HOMES: [&str; 3] = [
    concat!("/", "work"),
    concat!("/", "root"),
    concat!("/", "home"),
];
const REGISTRIES: [&str; 6] = [
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("files.", "pythonhosted.org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("proxy.", "golang.org"),
];

/// Absolute paths below a home folder or a work folder.
pub(crate) fn paths(files: &[File]) -> Vec<Finding> {
    each_line(files, |line| {
        let home = HOMES.into_iter().find(|home| {
            line.match_indices(home)
                .any(|(at, _)| starts_path(line, at, home))
        })?;
        Some(format!(
            "names {home}, a path of one machine; take a relative path or an argument"
        ))
    })
}

/// Whether an absolute path begins at `at`, rather than `https://host/home` or `frame/work`.
fn starts_path(line: &str, at: usize, home: &str) -> bool {
    let before = line[..at].chars().next_back();
    let after = line[at + home.len()..].chars().next();
    let fresh = before.is_none_or(|c| c.is_whitespace() || "\"'`(=:[<,{".contains(c));
    fresh && after.is_none_or(|c| !c.is_alphanumeric() && !"-_.".contains(c))
}

/// Where packages come from is a setting of the machine.
pub(crate) fn registry_hosts(files: &[File]) -> Vec<Finding> {
    let mut findings = each_line(files, |line| {
        let host = REGISTRIES.into_iter().find(|host| line.contains(host))?;
        Some(format!(
            "names the package registry {host}; leave it to the machine's settings"
        ))
    });
    let npm_and_pip = |file: &&File| [".npmrc", ".yarnrc", "pip.conf"].contains(&file.name());
    for file in files.iter().filter(npm_and_pip) {
        let names_source = |line: &str| {
            let line = line.trim_start();
            ["registry", "@", "//", "index-url", "extra-index-url"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        let sources = file
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| names_source(line));
        findings.extend(sources.map(|(index, _)| {
            Finding::new(
                &file.path,
                index + 1,
                "names a package source; it belongs to the machine's settings",
            )
        }));
    }
    for file in files
        .iter()
        .filter(|file| file.path.ends_with(".cargo/config.toml"))
    {
        let sources = file
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.starts_with("[source") || line.starts_with("[registr"));
        findings.extend(sources.map(|(index, _)| {
            Finding::new(
                &file.path,
                index + 1,
                "names a package source; it belongs to the machine's cargo settings",
            )
        }));
    }
    findings
}

/// A package-lock.json without `resolved` takes packages from whatever registry the machine has; the
/// integrity hashes stay.
pub(crate) fn lock_files(files: &[File]) -> Vec<Finding> {
    let locks = files
        .iter()
        .filter(|file| file.name() == "package-lock.json");
    locks
        .filter_map(|file| {
            let line = file
                .text
                .lines()
                .position(|line| line.trim_start().starts_with("\"resolved\""))?;
            let how =
                "remove these lines (npm install --omit-lockfile-registry-resolved writes none)";
            Some(Finding::new(
                &file.path,
                line + 1,
                format!("`resolved` names a registry; {how}"),
            ))
        })
        .collect()
}

fn each_line(files: &[File], judge: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            findings
                .extend(judge(line).map(|message| Finding::new(&file.path, index + 1, message)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::places;
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found() {
        for home in HOMES {
            for text in [
                format!("see {home}/a"),
                format!("\"{home}\""),
                format!("DIR={home}/b"),
            ] {
                assert_eq!(places(paths, &[("a.md", &text)]), ["a.md:1"], "{text}");
            }
            for text in [
                format!("https://example.org{home}"),
                format!("frame{home}"),
                format!("{home}r/a"),
                format!("\"{home}-folder\""),
            ] {
                assert_eq!(places(paths, &[("a.md", &text)]), [""; 0], "{text}");
            }
        }
    }

    #[test]
    fn registries_are_found() {
        let text = format!("curl https://{}/x", REGISTRIES[0]);
        assert_eq!(
            places(
                registry_hosts,
                &[
                    ("a.sh", &text),
                    (
                        "x/.npmrc",
                        "omit-lockfile-registry-resolved=true\nregistry=x\n"
                    )
                ]
            ),
            ["a.sh:1", "x/.npmrc:2"]
        );
        assert_eq!(
            places(
                registry_hosts,
                &[(".cargo/config.toml", "[alias]\n[source.crates-io]\n")]
            ),
            [".cargo/config.toml:2"]
        );
    }

    #[test]
    fn resolved_is_found_in_lock_files() {
        let text = "{\n  \"resolved\": \"x\"\n}\n";
        assert_eq!(
            places(
                lock_files,
                &[("a/package-lock.json", text), ("b.json", text)]
            ),
            ["a/package-lock.json:2"]
        );
    }
}
