//! Which of several modules a thing is best known by: `django.db.connections`, not whoever imports it.

use super::Kinds;

/// A way from `sys.modules` may begin in any module that has the thing as an attribute. Takes the module that the
/// thing's class belongs to or is nearest to; of equals the one with the shortest name, and if it has no class of the
/// program's own, the way stays as it is.
pub fn better_known(kinds: &Kinds<'_>, mut way: Vec<u32>) -> Vec<u32> {
    let &[modules, module, dict, thing, ..] = &way[..] else { return way };
    if kinds.type_name(module) != "module" || !kinds.is_namespace(dict) {
        return way;
    }
    let Some(home) = kinds.module_of_class(thing) else { return way };
    let view = kinds.view();
    let mut best = (rank(kinds, module, home), module, dict);
    view.parents(thing, |other| {
        let owner = kinds.module_of_namespace(other);
        if let Some(owner) = owner.filter(|&owner| kinds.names().between(modules, owner).is_some()) {
            best = best.min((rank(kinds, owner, home), owner, other));
        }
    });
    (way[1], way[2]) = (best.1, best.2);
    way
}

/// The lower, the better: parts of the name that the module does not share with the class's, then all its parts.
fn rank(kinds: &Kinds<'_>, module: u32, home: &str) -> (usize, usize) {
    let name = kinds.view().name(module).unwrap_or_default();
    let parts: Vec<&str> = name.split('.').collect();
    let shared = parts.iter().zip(home.split('.')).take_while(|(a, b)| **a == *b).count();
    (usize::MAX - shared, parts.len())
}
