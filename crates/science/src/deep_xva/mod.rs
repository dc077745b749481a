//! Valuation adjustments of portfolios, layer upon layer.
//!
//! # What it computes
//!
//! A bank B has trades with counterparties. Factors S move under the risk-neutral measure, dS = (r − q) S dt + σ S dB (`gbm`) or
//! dS = κ (m − S) dt + σ dB (`ou`); the assets A of the bank and of each counterparty move by dA = r A dt + s A dB, all Brownian motions
//! correlated. A firm defaults when its assets first are at its barrier, τ = inf{t : A_t ≤ D}. Of a netting set with counterparty C,
//! with D_t = e^(−rt), τ = min(τ_B, τ_C, T) and expectations given what is known today:
//!
//! - **Clean value** V_t = E[Σ D_Tᵢ payoffᵢ / D_t | F_t], positive if the counterparty owes the bank.
//! - **Collateral** C = (V − K⁺)⁺ − (−V − K⁻)⁺ with the thresholds K⁺ (received) and K⁻ (posted). **Initial margin** over the margin
//!   period δ, at level α: received IM⁺ = [q_α(V_{t+δ} − V_t | F_t)]⁺ and posted IM⁻ = [q_α(V_t − V_{t+δ} | F_t)]⁺.
//! - **CVA** = E[D_τ 1{τ = τ_C} (1 − R_C) (V − C − IM⁺)⁺] and **DVA** = E[D_τ 1{τ = τ_B} (1 − R_B) (−(V − C + IM⁻))⁺].
//! - **ColVA** = E ∫₀^τ D_t [(r_cl − r) C⁺ − (r_cb − r) C⁻] dt and **MVA** = E ∫₀^τ D_t (r_fb − r_im) IM⁻ dt.
//! - **FVA** = E ∫₀^τ D_t [(r_fb − r) (V − A − C)⁺ − (r_fl − r) (V − A − C)⁻] dt with A = CVA − DVA + ColVA + MVA + FVA at t: FVA stands on both
//!   sides.
//!
//! The adjusted value is V − A. The signs follow from who pays. On a default of C the bank is short of (1 − R_C) of what is neither
//! posted nor covered by margin: a cost. On its own it keeps (1 − R_B) of what it owes beyond that: a benefit. On collateral that it holds, the
//! bank earns r and pays r_cl: it costs r_cl − r; on collateral that it has posted it forgoes r and earns r_cb: it costs r − r_cb, which is
//! −(r_cb − r) C⁻ with C⁻ ≥ 0. Margin that it posts is borrowed at r_fb and earns r_im. A position worth V − A that is not collateralised is money that
//! the bank has paid for and borrowed, at r_fb instead of r; where it is negative the bank has been paid and lends at r_fl, a gain of
//! r_fl − r. With equal rates r_f and without defaults this is linear and V − A is the payoff discounted at r_f.
//!
//! Each expectation is the solution Y₀ of a backward equation −dY = f dt − Z dB on [0, τ]. It is solved forward: with P what a path is paid in all,
//! discounted, P = Y₀ + Σ D ζ·ΔB, where one network gives ζ and Y at all dates; trained by the mean square of what is left over.
//! Layers are trained in this order and then frozen: clean values, quantiles for margin (pinball loss), the four linear adjustments,
//! and FVA, whose right-hand side reads what its own network says at the moment.
//!
//! # Paper
//!
//! Kristoffer Andersson and Alessandro Gnoatto, "Multi-Layer Deep xVA: Structural Credit Models, Measure Changes and Convergence Analysis", arXiv
//! 2502.14766: the four layers, structural default, quantile regression for margin, the change of measure, and the a posteriori bound, in
//! which the mismatch at the end is the computable part.
//!
//! # When it helps, and when it does not
//!
//! It replaces simulations within simulations where values along the path are not known: baskets, margin, funding at two rates, in some
//! tens of dimensions. With a few trades, least-squares Monte Carlo ([`Method::LeastSquares`]) is faster. Trades with exercise before maturity or payments that
//! depend on a path, moving rates, and a gap between default and close-out are not covered. A network that has not learned is
//! noticed by [`Learned::explained`] near 0 and a large [`Learned::mismatch`], the a posteriori error; CVA, DVA, ColVA and MVA are unbiased even then as far as clean values and margin are right.
//!
//! # Parameters
//!
//! [`Parameters`]: [`Parameters::default`] has two hidden layers of 32, 600 steps of Adam on 256 paths, 50 dates and 20,480 paths. The
//! published settings of the paper's experiments are not taken over.
//!
//! # Deviations from the paper
//!
//! 1. One network per layer for all dates, of time, factors, clean value and distances to default. Test:
//!    `cva_of_a_call_is_that_of_the_outside_barrier`.
//! 2. Y₀ is not trained: reported numbers are means on new paths with the learned hedge as control variate, with standard errors. Tests:
//!    `cva_of_a_call_is_that_of_the_outside_barrier`, `the_hedge_takes_variance_away`.
//! 3. Y(t, x) for later layers is learned beside ζ, not rolled forward. Test: `values_that_are_learned_are_those_of_the_formula`.
//! 4. Closed formulas give clean values where there are any ([`Parameters::formulas`]). Test: `exposures_of_a_forward_are_options_on_it`.
//! 5. Brownian bridges notice defaults between dates; of two in one step the first is told by times drawn from each bridge, taken as
//!    independent. Amounts at default are those of the next date. Tests:
//!    `monitoring_at_dates_misses_defaults_and_a_shifted_barrier_does_not`, `bridges_of_correlated_names_are_taken_as_independent`.
//! 6. The other measure moves only what no factor moves of the counterparty. CVA of a rare default is valued under it, weighted back and without
//!    the hedge; the layer is trained under it only where [`Parameters::learn_tilted`] says so: what a hedge leaves in a step has mean 0
//!    under the risk-neutral measure alone, and the rest, small beside values near default, is large beside those of today. Test:
//!    `another_measure_gives_the_same_cva_of_a_rare_default_with_less_error`.
//! 7. Close-out is at the default, without the gap of the margin period. Test: `collateral_and_its_interest`.
//! 8. A trade that matures within the margin period counts with what it would pay at its end. Test:
//!    `margin_reaches_to_the_end_of_a_trade`.
//! 9. Quantiles of moves are learned in conditional standard deviations from the conditional mean, which regressions give. Test:
//!    `margin_on_a_stock_is_its_quantile`.
//! 10. Steps of an `ou` factor have their exact variance, and the correlation of the Brownian motions rather than that of their integrals.
//!     Test: `what_returns_to_its_mean_moves_a_forward_less`.
//! 11. Adjustments that the terms of a set cannot pay are 0 and not learned. Test: `what_cannot_pay_is_exactly_zero`.
//! 12. Derivatives are not read off the network alone: the first step's increments correct it, without bias and with a standard error. Test:
//!     `derivatives_of_cva_are_those_of_the_outside_barrier`.
//!
//! # Errors
//!
//! [`Portfolio::from_toml`] and [`DeepXva::new`] check everything; valuation cannot fail, but rates and volatilities of absurd size can
//! give numbers that are not finite.
//!
//! # Cost
//!
//! Simulation: paths × dates × drivers². Training: iterations × batch × dates × weights, for up to four layers per netting set. Memory: values of one
//! chunk of 256 paths per thread, and a few numbers per path.
//!
//! # Example
//!
//! ```
//! use backstitch_science::deep_xva::{DeepXva, EXAMPLE, Method, Parameters, Portfolio};
//!
//! let portfolio = Portfolio::from_toml(EXAMPLE)?;
//! let parameters = Parameters { method: Method::LeastSquares, paths: 1_024, regression_paths: 1_024, steps: 8, ..Parameters::default() };
//! let found = DeepXva::new(parameters)?.value(&portfolio)?;
//! let [cva, ..] = found.counterparties[0].adjustments;
//! assert!(cva.is_some_and(|cva| cva.mean > 0.0));
//! # Ok::<(), backstitch_science::Error>(())
//! ```

mod card;
pub mod clean;
pub mod closed_form;
mod correlation;
pub mod drawing;
mod features;
mod flows;
mod layer;
mod layers;
mod margin;
mod numbers;
mod parameters;
pub mod portfolio;
mod regression;
mod sample;
mod sensitivity;
pub mod simulation;
mod valuation;
mod values;

pub use card::CARD;
pub use layer::Training;
pub use parameters::{Method, Parameters};
pub use portfolio::{EXAMPLE, Portfolio};
pub use valuation::{
    ADJUSTMENTS, DeepXva, Estimate, Learned, Profile, SIGNS, Sensitivity, SetValuation, Valuation, Values,
};
