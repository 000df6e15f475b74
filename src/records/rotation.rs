//! The rotation policy between words and bytes.

use crate::{
    crypto::Forged,
    domain::{Mode, OpenTask, RotationPolicy, TaskId, Timestamp},
    format::{RotationV1, TaskV1},
};

pub(super) fn rotation_to_wire(policy: &RotationPolicy) -> RotationV1 {
    let since = match &policy.mode {
        Mode::Automatic { since, .. } => Some(since.as_millis()),
        Mode::Manual { .. } => None,
    };
    RotationV1 {
        period: policy.period().map(|period| period.as_str().to_owned()),
        config: policy.config.as_ref().map(|config| config.as_str().to_owned()),
        function_urn: policy.function_urn.as_ref().map(|urn| urn.as_str().to_owned()),
        automatic_since_ms: since,
        put_off_ms: policy.put_off.map(Timestamp::as_millis),
        task: policy.task.as_ref().map(task_to_wire),
    }
}

pub(super) fn rotation_from_wire(wire: RotationV1) -> Result<RotationPolicy, Forged> {
    let period = wire.period.map(|text| text.parse().map_err(|_| Forged)).transpose()?;
    let since = wire.automatic_since_ms.map(Timestamp::from_millis);
    let mode = match (since, period) {
        (Some(since), Some(period)) => Mode::Automatic { period, since },
        (Some(_), None) => return Err(Forged),
        (None, period) => Mode::Manual { period },
    };
    Ok(RotationPolicy {
        mode,
        config: wire.config.map(|text| text.parse().map_err(|_| Forged)).transpose()?,
        function_urn: wire.function_urn.map(|text| text.parse().map_err(|_| Forged)).transpose()?,
        put_off: wire.put_off_ms.map(Timestamp::from_millis),
        task: wire.task.map(task_from_wire),
    })
}

fn task_to_wire(task: &OpenTask) -> TaskV1 {
    TaskV1 {
        id: *task.id.as_bytes(),
        begun_ms: task.begun.as_millis(),
        attempts: task.attempts,
        next_ms: task.next_attempt.as_millis(),
        error: task.error.clone(),
    }
}

fn task_from_wire(wire: TaskV1) -> OpenTask {
    OpenTask {
        id: TaskId::from_bytes(wire.id),
        begun: Timestamp::from_millis(wire.begun_ms),
        attempts: wire.attempts,
        next_attempt: Timestamp::from_millis(wire.next_ms),
        error: wire.error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> RotationPolicy {
        let at = Timestamp::from_millis;
        RotationPolicy {
            mode: Mode::Automatic { period: "0030d".parse().unwrap(), since: at(1) },
            config: Some(r#"{"InstanceId":"a"}"#.parse().unwrap()),
            function_urn: Some("urn:f".parse().unwrap()),
            put_off: Some(at(2)),
            task: Some(OpenTask {
                id: TaskId::from_bytes([7; 16]),
                begun: at(3),
                attempts: 2,
                next_attempt: at(4),
                error: "no".to_owned(),
            }),
        }
    }

    #[test]
    fn a_policy_comes_back_as_it_was() {
        let kept = Mode::Manual { period: Some("6h".parse().unwrap()) };
        let manual = RotationPolicy { mode: kept, ..whole() };
        for policy in [RotationPolicy::default(), whole(), manual] {
            let back = rotation_from_wire(rotation_to_wire(&policy));
            assert_eq!(back.ok(), Some(policy));
        }
    }

    #[test]
    fn what_no_policy_can_be_is_forged() {
        type Change = fn(&mut RotationV1);
        let cases: [(&str, Change); 4] = [
            ("automatic without a period", |wire| wire.period = None),
            ("no period", |wire| wire.period = Some("1w".to_owned())),
            ("no configuration", |wire| wire.config = Some("[]".to_owned())),
            ("no function", |wire| wire.function_urn = Some(String::new())),
        ];
        for (what, change) in cases {
            let mut wire = rotation_to_wire(&whole());
            change(&mut wire);
            assert!(rotation_from_wire(wire).is_err(), "case: {what}");
        }
    }
}
