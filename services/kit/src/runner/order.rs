//! The order in which services start: what a service needs comes before it.
use super::Error;
use crate::service::ServiceDef;

/// Sorts services by what they need; otherwise they keep the order in which they were listed.
pub(super) fn sort(defs: &[ServiceDef]) -> Result<Vec<ServiceDef>, Error> {
    for def in defs {
        if defs.iter().filter(|other| other.name == def.name).count() > 1 {
            return Err(Error::DuplicateService { name: def.name });
        }
    }
    let mut sorted: Vec<ServiceDef> = Vec::with_capacity(defs.len());
    while sorted.len() < defs.len() {
        let placed = |name: &str| sorted.iter().any(|done| done.name == name);
        let known = |name: &str| defs.iter().any(|def| def.name == name);
        // A need that is not in the list runs elsewhere and does not hold anything up.
        let next =
            defs.iter().find(|def| !placed(def.name) && def.needs.iter().all(|need| placed(need) || !known(need)));
        match next {
            Some(def) => sorted.push(*def),
            None => {
                let stuck = defs.iter().map(|def| def.name).filter(|name| !placed(name)).collect();
                return Err(Error::Cycle { services: stuck });
            }
        }
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;

    fn def(name: &'static str, needs: &'static [&'static str]) -> ServiceDef {
        ServiceDef { name, needs, migrations: &[], build: |_| Box::pin(async { Ok(Service::new()) }) }
    }

    fn names(defs: &[ServiceDef]) -> Vec<&'static str> {
        defs.iter().map(|def| def.name).collect()
    }

    #[test]
    fn what_is_needed_starts_first_and_the_rest_keeps_its_order() {
        let defs = [
            def("gateway", &["trading", "user"]),
            def("trading", &["market-data"]),
            def("user", &[]),
            def("market-data", &[]),
        ];
        assert_eq!(names(&sort(&defs).unwrap()), ["user", "market-data", "trading", "gateway"]);
    }

    #[test]
    fn a_cycle_is_refused_and_named() {
        let defs = [def("a", &["b"]), def("b", &["c"]), def("c", &["a"]), def("d", &[])];
        let Err(Error::Cycle { services }) = sort(&defs) else { panic!("a cycle was accepted") };
        assert_eq!(services, ["a", "b", "c"]);
    }

    #[test]
    fn a_need_that_runs_elsewhere_holds_nothing_up() {
        assert_eq!(names(&sort(&[def("a", &["elsewhere"])]).unwrap()), ["a"]);
    }

    #[test]
    fn two_services_of_one_name_are_refused() {
        assert!(matches!(sort(&[def("a", &[]), def("a", &[])]), Err(Error::DuplicateService { name: "a" })));
    }
}
