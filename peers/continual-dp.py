"""What a user would pick today for exact discrete Gaussian noise: opendp. It has no release of running sums.

A request is {"peer": "opendp", "work": "noise", "scale": 4, "draws": 65536}; its time is that of the draws alone.
"""

import contestant


def sampler(scale):
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    # The default integers have 32 bits and would cut off what lies beyond two σ at the largest scale.
    # On integers this measurement adds discrete Gaussian noise, drawn exactly.
    return dp.m.make_gaussian(*space, scale=float(scale))


def answer(request):
    scale, draws = int(request["scale"]), int(request["draws"])
    if draws < 1 or scale < 1:
        raise ValueError(f"scale is {scale} and draws is {draws}, but both must be at least 1")
    measure = sampler(scale)
    measure([0] * 1000)
    zeros = [0] * draws
    seconds, drawn = contestant.timed(lambda: measure(zeros))
    unit = [value / scale for value in drawn]
    return seconds, {"mean": sum(unit) / draws, "square": sum(value * value for value in unit) / draws}


def main():
    versions, _ = contestant.load({"opendp": ("opendp", lambda: sampler(4)([0]))})
    contestant.serve(versions, answer)


if __name__ == "__main__":
    main()
