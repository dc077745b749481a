//! A picture of a weighted graph as SVG, for people who would rather look.
//!
//! Nodes stand in layers, every edge points downwards (layer = longest path from a source), and within a layer they are
//! sorted by the mean position of their neighbours so that edges cross little.

use backstitch_numerics::Matrix;

use super::graph::topological_order;
use crate::Error;

const NODE_HEIGHT: f64 = 28.0;
const LAYER_GAP: f64 = 84.0;
const NODE_GAP: f64 = 22.0;
const MARGIN: f64 = 24.0;
/// Sweeps of the sorting within layers; more change little.
const SWEEPS: usize = 8;

/// Draws the graph of a d × d weight matrix (entry (i, j) for i → j). Thickness shows the size of a weight, a dashed line
/// a negative one. Nodes without a name show their number.
///
/// # Errors
/// [`Error::Cycle`] if the graph has a cycle, [`Error::Shape`] if the matrix is not square.
pub fn draw(weights: &Matrix, names: &[String]) -> Result<String, Error> {
    let layers = layers(weights)?;
    let name = |node: usize| names.get(node).cloned().unwrap_or_else(|| node.to_string());
    let width = |node: usize| 20.0 + 7.6 * name(node).chars().count() as f64;
    let layer_width =
        |layer: &[usize]| layer.iter().map(|&node| width(node) + NODE_GAP).sum::<f64>() - NODE_GAP;
    let total = layers.iter().map(|layer| layer_width(layer)).fold(120.0, f64::max) + 2.0 * MARGIN;
    let height = layers.len() as f64 * LAYER_GAP - (LAYER_GAP - NODE_HEIGHT) + 2.0 * MARGIN;

    let mut place = vec![(0.0, 0.0); weights.columns()];
    for (depth, layer) in layers.iter().enumerate() {
        let mut x = (total - layer_width(layer)) / 2.0;
        for &node in layer {
            place[node] = (x + width(node) / 2.0, MARGIN + depth as f64 * LAYER_GAP);
            x += width(node) + NODE_GAP;
        }
    }
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total:.0} {height:.0}\" width=\"{total:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"learned graph\"><style>{STYLE}</style>\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0 8 4 0 8Z\"/></marker></defs>\n"
    );
    let largest = weights.values().iter().map(|weight| weight.abs()).fold(0.0, f64::max);
    for i in 0..weights.rows() {
        for j in 0..weights.columns() {
            let weight = weights[(i, j)];
            if weight == 0.0 {
                continue;
            }
            let ((x0, y0), (x1, y1)) = (place[i], place[j]);
            let (y0, bend) = (y0 + NODE_HEIGHT, (y1 - y0) / 2.0);
            let class = if weight < 0.0 { "edge negative" } else { "edge" };
            svg.push_str(&format!(
                "<path class=\"{class}\" stroke-width=\"{:.2}\" marker-end=\"url(#head)\" \
                 d=\"M{x0:.1} {y0:.1}C{x0:.1} {:.1} {x1:.1} {:.1} {x1:.1} {y1:.1}\"><title>{} → {}: {weight:.3}</title></path>\n",
                0.8 + 2.2 * weight.abs() / largest,
                y0 + bend,
                y1 - bend,
                escape(&name(i)),
                escape(&name(j)),
            ));
        }
    }
    for node in 0..weights.columns() {
        let (x, y) = place[node];
        svg.push_str(&format!(
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{NODE_HEIGHT}\" rx=\"6\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\">{}</text>\n",
            x - width(node) / 2.0,
            width(node),
            y + NODE_HEIGHT / 2.0 + 4.5,
            escape(&name(node)),
        ));
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

const STYLE: &str = "svg{background:#fbfaf7}text{font:13px system-ui,sans-serif;text-anchor:middle;fill:#1d1c1a}\
rect{fill:#fff;stroke:#8d897f}.edge{fill:none;stroke:#2f5d8a;stroke-opacity:.75}.negative{stroke:#c0612b;stroke-dasharray:6 3}\
#head path{fill:#55524c}@media (prefers-color-scheme:dark){svg{background:#171614}text{fill:#eceae4}rect{fill:#201f1c}\
.edge{stroke:#7fb0e0}.negative{stroke:#f0995f}#head path{fill:#b9b5ab}}";

/// Nodes by longest path from a source, sorted within each layer.
fn layers(weights: &Matrix) -> Result<Vec<Vec<usize>>, Error> {
    let d = weights.columns();
    let mut depth = vec![0; d];
    for node in topological_order(weights)? {
        depth[node] = (0..d).filter(|&i| weights[(i, node)] != 0.0).map(|i| depth[i] + 1).max().unwrap_or(0);
    }
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
    for node in 0..d {
        layers[depth[node]].push(node);
    }
    let mut position = vec![0.5; d];
    for sweep in 0..SWEEPS {
        let count = layers.len();
        for step in 0..count {
            let layer = &mut layers[if sweep % 2 == 0 { step } else { count - 1 - step }];
            let wish = |node: usize| {
                let joined = |&i: &usize| weights[(i, node)] != 0.0 || weights[(node, i)] != 0.0;
                let (sum, found) =
                    (0..d).filter(joined).fold((0.0, 0.0), |(sum, n), i| (sum + position[i], n + 1.0));
                if found > 0.0 { sum / found } else { position[node] }
            };
            let mut wishes: Vec<(f64, usize)> = layer.iter().map(|&node| (wish(node), node)).collect();
            wishes.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
            *layer = wishes.iter().map(|&(_, node)| node).collect();
            let size = layer.len() as f64;
            for (place, &node) in layer.iter().enumerate() {
                position[node] = (place as f64 + 0.5) / size;
            }
        }
    }
    Ok(layers)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_points_down_and_names_are_escaped() {
        let weights = Matrix::from_fn(3, 3, |i, j| if i < j { 1.0 - 1.5 * j as f64 } else { 0.0 });
        assert_eq!(layers(&weights).unwrap(), [[0], [1], [2]]);
        let svg = draw(&weights, &["<a>".into(), "b&c".into()]).unwrap();
        assert_eq!(svg.matches("<path class=\"edge").count(), 3);
        assert!(svg.contains("&lt;a&gt; → b&amp;c") && svg.contains(">2</text>"));
    }

    #[test]
    fn an_empty_graph_and_a_cycle() {
        assert!(draw(&Matrix::zeros(2, 2), &[]).unwrap().contains("</svg>"));
        let cycle = Matrix::from_fn(2, 2, |i, j| f64::from(u8::from(i != j)));
        assert!(matches!(draw(&cycle, &[]), Err(Error::Cycle { .. })));
    }
}
