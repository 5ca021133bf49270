// The thin-plate spline of dafnet_core/geometry.py, in the browser: one matrix from control points to pixels.

/** Rest positions of side x side control points over [-1, 1], row by row: [[x, y], ...]. */
function controlPoints(side) {
  const at = (k) => -1 + (2 * k) / (side - 1);
  return Array.from({ length: side * side }, (_, k) => [at(k % side), at(Math.floor(k / side))]);
}

/** r^2 log r of two points; 0 at r = 0. */
function kernel(a, b) {
  const r2 = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
  return r2 ? 0.5 * r2 * Math.log(r2) : 0;
}

/** Inverse of a square matrix, by Gauss-Jordan elimination with pivoting. */
function inverse(matrix) {
  const n = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let c = 0; c < n; c++) {
    let best = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(rows[r][c]) > Math.abs(rows[best][c])) best = r;
    [rows[c], rows[best]] = [rows[best], rows[c]];
    const pivot = rows[c][c];
    rows[c] = rows[c].map((v) => v / pivot);
    for (let r = 0; r < n; r++) {
      if (r === c || !rows[r][c]) continue;
      const factor = rows[r][c];
      rows[r] = rows[r].map((v, k) => v - factor * rows[c][k]);
    }
  }
  return rows.map((row) => row.slice(n));
}

/** (H * W, K) Float64Array, row by row: displacement of each pixel's centre from those of the control points. */
function splineMatrix(width, height, side) {
  const rest = controlPoints(side), k = rest.length;
  const system = Array.from({ length: k + 3 }, () => new Array(k + 3).fill(0));
  rest.forEach((a, i) => {
    rest.forEach((b, j) => (system[i][j] = kernel(a, b)));
    [1, a[0], a[1]].forEach((v, j) => (system[i][k + j] = system[k + j][i] = v));
  });
  const solution = inverse(system).map((row) => row.slice(0, k)); // (K + 3, K)
  const matrix = new Float64Array(width * height * k);
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p++) {
      const at = [(2 * x + 1) / width - 1, (2 * y + 1) / height - 1];
      const features = [...rest.map((r) => kernel(at, r)), 1, ...at];
      for (let j = 0; j < k; j++) {
        let sum = 0;
        for (let f = 0; f < k + 3; f++) sum += features[f] * solution[f][j];
        matrix[p * k + j] = sum;
      }
    }
  }
  return matrix;
}

/** Sampling positions, pixels, as Float64Array x0 y0 x1 y1 ..., of offsets [[x, y], ...] in [-1, 1] units. */
function positions(matrix, offsets, width, height) {
  const k = offsets.length, result = new Float64Array(2 * width * height);
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p++) {
      let dx = 0, dy = 0;
      for (let j = 0; j < k; j++) {
        dx += matrix[p * k + j] * offsets[j][0];
        dy += matrix[p * k + j] * offsets[j][1];
      }
      result[2 * p] = x + (dx * width) / 2;
      result[2 * p + 1] = y + (dy * height) / 2;
    }
  }
  return result;
}

/** Pixels where the warp folds: 1 where its Jacobian's determinant is not above 0. */
function folds(at, width, height) {
  const folded = new Uint8Array(width * height);
  const slope = (x, y, axis, dx, dy) => {
    const [x0, x1] = [Math.max(x - dx, 0), Math.min(x + dx, width - 1)];
    const [y0, y1] = [Math.max(y - dy, 0), Math.min(y + dy, height - 1)];
    return (at[2 * (y1 * width + x1) + axis] - at[2 * (y0 * width + x0) + axis]) / (x1 - x0 + y1 - y0);
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const det =
        slope(x, y, 0, 1, 0) * slope(x, y, 1, 0, 1) - slope(x, y, 1, 1, 0) * slope(x, y, 0, 0, 1);
      folded[y * width + x] = det <= 0 ? 1 : 0;
    }
  }
  return folded;
}
