//! L-BFGS with a backtracking line search (Nocedal & Wright 2006, algorithms 7.4 and 3.1): deterministic minimisation of a
//! smooth convex function of many variables.

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Most steps taken.
    pub iterations: usize,
    /// Stop when no component of the gradient is larger.
    pub gradient: f32,
}

const MEMORY: usize = 10;

/// Minimises `function(point, gradient) -> value` from `start`; `on_step` hears the number of steps taken.
pub fn minimise(
    mut point: Vec<f32>,
    stop: Stop,
    mut function: impl FnMut(&[f32], &mut [f32]) -> f64,
    mut on_step: impl FnMut(usize),
) -> Vec<f32> {
    let size = point.len();
    let mut gradient = vec![0.0; size];
    let mut value = function(&point, &mut gradient);
    let mut steps: Vec<(Vec<f32>, Vec<f32>, f64)> = Vec::new();
    let mut next = vec![0.0; size];
    let mut next_gradient = vec![0.0; size];
    for iteration in 0..stop.iterations {
        if gradient.iter().all(|component| component.abs() <= stop.gradient) {
            break;
        }
        let direction = descent(&gradient, &steps);
        let slope = dot(&direction, &gradient);
        let mut length = if steps.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let mut accepted = false;
        for _ in 0..30 {
            for index in 0..size {
                next[index] = point[index] + length as f32 * direction[index];
            }
            let next_value = function(&next, &mut next_gradient);
            if next_value.is_finite() && next_value <= value + 1e-4 * length * slope {
                value = next_value;
                accepted = true;
                break;
            }
            length *= 0.5;
        }
        if !accepted {
            break;
        }
        let moved: Vec<f32> = next.iter().zip(&point).map(|(new, old)| new - old).collect();
        let turned: Vec<f32> = next_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        let curvature = dot(&moved, &turned);
        // A pair without positive curvature would spoil the approximation of the Hessian.
        if curvature > 1e-12 {
            if steps.len() == MEMORY {
                steps.remove(0);
            }
            steps.push((moved, turned, curvature));
        }
        std::mem::swap(&mut point, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        on_step(iteration + 1);
    }
    point
}

/// The two-loop recursion: minus the approximate inverse Hessian times the gradient.
fn descent(gradient: &[f32], steps: &[(Vec<f32>, Vec<f32>, f64)]) -> Vec<f32> {
    let mut direction: Vec<f32> = gradient.iter().map(|component| -component).collect();
    let mut weights = Vec::with_capacity(steps.len());
    for (moved, turned, curvature) in steps.iter().rev() {
        let weight = dot(moved, &direction) / curvature;
        add(&mut direction, -weight, turned);
        weights.push(weight);
    }
    if let Some((_, turned, curvature)) = steps.last() {
        let scale = (curvature / dot(turned, turned)) as f32;
        direction.iter_mut().for_each(|component| *component *= scale);
    }
    for ((moved, turned, curvature), weight) in steps.iter().zip(weights.iter().rev()) {
        let correction = dot(turned, &direction) / curvature;
        add(&mut direction, weight - correction, moved);
    }
    direction
}

fn dot(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn add(target: &mut [f32], factor: f64, source: &[f32]) {
    target.iter_mut().zip(source).for_each(|(value, step)| *value += factor as f32 * step);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum_of_a_badly_scaled_quadratic() {
        let stop = Stop { iterations: 200, gradient: 1e-5 };
        let found = minimise(
            vec![5.0, -3.0, 8.0],
            stop,
            |x, g| {
                let mut value = 0.0;
                for (i, (scale, centre)) in [(1.0, 1.0), (50.0, -2.0), (0.1, 4.0)].into_iter().enumerate() {
                    let away = x[i] - centre;
                    g[i] = scale * away;
                    value += 0.5 * f64::from(scale * away * away);
                }
                value
            },
            |_| {},
        );
        for (found, expected) in found.iter().zip([1.0, -2.0, 4.0]) {
            assert!((found - expected).abs() < 1e-2, "{found} is not {expected}");
        }
    }
}
