"""Makes crates/data/embedded/*.csv.gz from the tables that scikit-learn ships (BSD 3-Clause): values unchanged, with a header line.

    python embedded_tables.py path/of/sklearn/datasets/data ../crates/data/embedded
"""

import gzip
import sys
from pathlib import Path

CELLS = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave_points", "symmetry", "fractal_dimension"]
WINE = ["alcohol", "malic_acid", "ash", "alkalinity", "magnesium", "phenols", "flavanoids", "other_phenols", "proanthocyanins", "colour",
        "hue", "dilution", "proline", "class"]
HEADERS = {
    "digits": [f"pixel_{row}_{column}" for row in range(8) for column in range(8)] + ["digit"],
    "breast-cancer": [f"{part}_{cell}" for part in ("mean", "error", "worst") for cell in CELLS] + ["benign"],
    "wine": WINE,
    "diabetes": ["age", "sex", "bmi", "pressure", "s1", "s2", "s3", "s4", "s5", "s6", "progression"],
}


def lines(path, skip=0):
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return text.decode().split("\n")[skip:]


def main(source, target):
    bodies = {
        "digits": [line.rstrip() for line in lines(source / "digits.csv.gz") if line],
        "breast-cancer": [line for line in lines(source / "breast_cancer.csv", 1) if line],
        "wine": [line for line in lines(source / "wine_data.csv", 1) if line],
        "diabetes": [
            ",".join(row.split() + [repr(float(value))])
            for row, value in zip(lines(source / "diabetes_data_raw.csv.gz"), lines(source / "diabetes_target.csv.gz"))
            if row
        ],
    }
    for name, body in bodies.items():
        text = "\n".join([",".join(HEADERS[name])] + body) + "\n"
        (target / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
