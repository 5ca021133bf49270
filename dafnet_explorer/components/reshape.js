// Channels that grow, shrink and move: dafnet_core/analysis/painting.py in the browser, pixel by pixel.

/** All [dx, dy] with a squared length of at most `limit`, the shortest first, then by dy and dx. */
function offsetsWithin(limit) {
  const reach = Math.floor(Math.sqrt(limit)), found = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const d = dx * dx + dy * dy;
      if (d && d <= limit) found.push([d, dy, dx]);
    }
  }
  found.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  return found.map(([, dy, dx]) => [dx, dy]);
}

/** Labels after a channel has grown or shrunk and then moved, as `painting.Reshape` has it. */
function reshaped(labels, { channel, grow, dx, dy }, width, height) {
  const neighbour = (p, u, v) => {
    const x = Math.min(Math.max((p % width) + u, 0), width - 1);
    return Math.min(Math.max(Math.floor(p / width) + v, 0), height - 1) * width + x;
  };
  const all = Array.from(labels, (_, p) => p);
  const leave = (now, pixels, limit) => {
    const next = now.slice();
    let open = pixels;
    for (const [u, v] of offsetsWithin(limit)) {
      if (!open.length) break;
      open = open.filter((p) => {
        const other = now[neighbour(p, u, v)];
        if (other !== channel) next[p] = other;
        return other === channel;
      });
    }
    return next;
  };
  const isInside = (now) => (p) => now[p] === channel;
  if (grow < 0) labels = leave(labels, all.filter(isInside(labels)), grow * grow);
  if (grow > 0) {
    const near = offsetsWithin(grow * grow), now = labels;
    labels = now.map((label, p) => (near.some(([u, v]) => now[neighbour(p, u, v)] === channel) ? channel : label));
  }
  if (dx || dy) {
    const arrives = (p) => labels[neighbour(p, -dx, -dy)] === channel;
    const left = all.filter((p) => labels[p] === channel && !arrives(p));
    const next = leave(labels, left, dx * dx + dy * dy);
    for (const p of all) if (arrives(p)) next[p] = channel;
    labels = next;
  }
  return labels;
}
