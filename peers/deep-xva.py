"""Exposures and CVA of a forward and a call by numpy in whole arrays, and a barrier option by QuantLib, beside the program.

A request of the first kind is {"peer": "numpy", "paths": 20480, "steps": 50, "repeat": 5}: paths of a stock and of the assets of a firm, correlated; the
clean value at every date by the formulas; the means of its positive and negative part; defaults between dates by Brownian bridges; CVA
with its standard error. One of the second kind is {"peer": "quantlib", "work": "barrier", "paths": 20480, "steps": 50, "repeat": 3}: a
call that dies at a barrier on the stock itself, by QuantLib's Monte Carlo engine with Brownian bridges; what the call is worth more
without the barrier, times one less the recovery, is the CVA of a counterparty that fails there. Times are medians, after one round
that warms up.
"""

import math

import contestant


def load():
    import numpy
    from scipy.special import ndtr

    return numpy, ndtr


def load_quantlib():
    import QuantLib

    return QuantLib


VERSIONS, LOADED = contestant.load({"numpy": ("numpy", load), "quantlib": ("QuantLib", load_quantlib)})

RATE, VOLATILITY, START, MATURITY = 0.02, 0.25, 100.0, 1.0
FORWARD_STRIKE, CALL_STRIKE = 100.0, 110.0
BARRIER, FIRM_VOLATILITY, RECOVERY, CORRELATION = 0.7, 0.3, 0.4, -0.5
STOCK_BARRIER, BARRIER_STRIKE = 80.0, 100.0


def clean_value(np, ndtr, stock, remaining):
    discount = math.exp(-RATE * remaining)
    value = stock - FORWARD_STRIKE * discount
    if remaining <= 0.0:
        return value + np.maximum(stock - CALL_STRIKE, 0.0)
    deviation = VOLATILITY * math.sqrt(remaining)
    d = (np.log(stock / CALL_STRIKE) + RATE * remaining) / deviation + 0.5 * deviation
    return value + stock * ndtr(d) - CALL_STRIKE * discount * ndtr(d - deviation)


def exposures(np, ndtr, generator, paths, steps):
    h = MATURITY / steps
    root = math.sqrt(h)
    log_stock = np.full(paths, math.log(START))
    distance = np.full(paths, -math.log(BARRIER))
    alive = np.ones(paths, bool)
    loss = np.zeros(paths)
    positive, negative = [], []
    for date in range(steps + 1):
        if date > 0:
            z = generator.standard_normal(paths)
            w = CORRELATION * z + math.sqrt(1.0 - CORRELATION**2) * generator.standard_normal(paths)
            log_stock += (RATE - 0.5 * VOLATILITY**2) * h + VOLATILITY * root * z
            moved = distance + (RATE - 0.5 * FIRM_VOLATILITY**2) * h + FIRM_VOLATILITY * root * w
            touched = np.exp(-2.0 * np.maximum(distance, 0.0) * np.maximum(moved, 0.0) / (FIRM_VOLATILITY**2 * h))
            fails = alive & (generator.random(paths) < touched)
            distance = moved
        value = clean_value(np, ndtr, np.exp(log_stock), MATURITY - date * h)
        positive.append(float(np.maximum(value, 0.0).mean()))
        negative.append(float(np.maximum(-value, 0.0).mean()))
        if date > 0:
            loss[fails] = (1.0 - RECOVERY) * math.exp(-RATE * date * h) * np.maximum(value[fails], 0.0)
            alive &= ~fails
    return {
        "cva": [float(loss.mean()), float(loss.std(ddof=1) / math.sqrt(paths))],
        "positive": positive,
        "negative": negative,
    }


def barrier_cva(ql, paths, steps):
    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    days = ql.Actual365Fixed()
    rate = ql.YieldTermStructureHandle(ql.FlatForward(today, RATE, days))
    income = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, days))
    volatility = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), VOLATILITY, days))
    stock = ql.QuoteHandle(ql.SimpleQuote(START))
    process = ql.BlackScholesMertonProcess(stock, income, rate, volatility)
    payoff = ql.PlainVanillaPayoff(ql.Option.Call, BARRIER_STRIKE)
    exercise = ql.EuropeanExercise(today + 365)
    option = ql.BarrierOption(ql.Barrier.DownOut, STOCK_BARRIER, 0.0, payoff, exercise)
    option.setPricingEngine(ql.MCBarrierEngine(process, "pseudorandom", timeSteps=steps, requiredSamples=paths, seed=1))
    plain = ql.EuropeanOption(payoff, exercise)
    plain.setPricingEngine(ql.AnalyticEuropeanEngine(process))
    lost = 1.0 - RECOVERY
    return {"cva": [lost * (plain.NPV() - option.NPV()), lost * option.errorEstimate()]}


def answer(request):
    paths, steps, repeat = int(request["paths"]), int(request["steps"]), int(request["repeat"])
    if request["peer"] == "quantlib":
        ql = LOADED["quantlib"]
        barrier_cva(ql, 1000, steps)
        return contestant.timed(lambda: barrier_cva(ql, paths, steps), repeat)
    np, ndtr = LOADED["numpy"]
    generator = np.random.default_rng(0)

    def work():
        return exposures(np, ndtr, generator, paths, steps)

    work()
    return contestant.timed(work, repeat)


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
