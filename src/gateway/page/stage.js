"use strict";
// The picture, and the comments that pass over it. A comment has a lane of its own until nobody can catch up with it; what
// stands at the top or the bottom has rows that nothing passes through. Where there is no lane a comment waits a moment, and
// is then left to the list beside the picture.

const CROSSING = 8000; // ms from the right edge to beyond the left one: as Bilibili has it
const STANDING = 4000; // ms at the top or the bottom
const LINE = 1.3; // of a line to its text
const GAP = 24; // CSS pixels between two comments of a lane
const WAITING = 40; // comments that wait for a lane
const PATIENCE = 1500; // ms that they wait
const HEARTS = 60; // hearts in the air

class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.shown = true;
    this.moving = [];
    this.standing = [];
    this.waiting = [];
    this.hearts = [];
    this.undrawn = 0;
    this.stars = Array.from({ length: 90 }, () => [Math.random(), Math.random() * 0.55, Math.random() * 1.3 + 0.3, Math.random() * 6]);
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
    const draw = (now) => {
      this.draw(now);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    // More than two pixels a CSS pixel cost battery, and nobody sees them on a moving text.
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.canvas.width = Math.round(this.width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    // A small picture has smaller texts: some ten lanes at least.
    this.scale = Math.max(0.62, Math.min(1, this.width / 900));
    // Half a line of the usual size: small and usual ones take two rows, large ones three.
    this.row = (25 * LINE * this.scale) / 2;
    this.rows = Math.max(10, Math.floor((this.height - 8) / this.row));
    // What stands has rows of its own, so that nothing passes over it.
    this.kept = Math.max(3, Math.round(this.rows * 0.16));
    this.sky = null;
  }

  // Shows a comment of the contract.
  add(comment) {
    if (!this.shown || document.hidden) return;
    const size = Math.round(comment.fontsize * this.scale);
    const image = this.image(comment.content, size, comment.color, comment.own);
    const one = { id: comment.id, weight: comment.weight, mode: comment.mode, since: performance.now(), ...image };
    // A little less: sizes are whole pixels, and rows are not.
    one.lanes = Math.max(1, Math.ceil((size * LINE) / this.row - 0.1));
    if (this.still.matches && one.mode === 1) one.mode = 5;
    if (!this.place(one, one.since)) {
      this.waiting.push(one);
      if (this.waiting.length > WAITING) {
        // Who has been quiet weighs most: the lightest goes.
        let least = 0;
        this.waiting.forEach((w, i) => { if (w.weight < this.waiting[least].weight) least = i; });
        this.waiting.splice(least, 1);
        this.undrawn += 1;
      }
    }
  }

  remove(id) {
    for (const list of ["moving", "standing", "waiting"]) this[list] = this[list].filter((one) => one.id !== id);
  }

  show(shown) {
    this.shown = shown;
    if (!shown) { this.moving = []; this.standing = []; this.waiting = []; }
  }

  // Lets hearts rise: as many as were tapped, up to what can be told apart.
  like(n) {
    if (this.still.matches) return;
    for (let i = 0; i < Math.min(n, 8) && this.hearts.length < HEARTS; i++) {
      this.hearts.push({ born: performance.now() + i * 70, x: Math.random(), sway: Math.random() * 6.3, hue: 335 + Math.random() * 45 });
    }
  }

  image(text, size, colour, own) {
    const font = `600 ${size}px system-ui, "Noto Sans", "PingFang SC", "Noto Sans CJK SC", sans-serif`;
    this.pen.font = font;
    const width = Math.ceil(this.pen.measureText(text).width) + 10;
    const height = Math.ceil(size * LINE);
    const image = document.createElement("canvas");
    image.width = Math.ceil(width * this.ratio);
    image.height = Math.ceil(height * this.ratio);
    const pen = image.getContext("2d");
    pen.scale(this.ratio, this.ratio);
    pen.font = font;
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    // A dark rim keeps any colour readable on any picture.
    pen.lineWidth = Math.max(2.5, size / 8);
    pen.strokeStyle = "rgba(0, 0, 0, 0.85)";
    pen.strokeText(text, 5, height / 2);
    pen.fillStyle = "#" + (colour & 0xffffff).toString(16).padStart(6, "0");
    pen.fillText(text, 5, height / 2);
    if (own) {
      pen.strokeStyle = pen.fillStyle;
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(5, height - 1.5);
      pen.lineTo(width - 5, height - 1.5);
      pen.stroke();
    }
    return { image, w: width, h: height };
  }

  // Whether there is a lane for it now.
  place(one, now) {
    if (one.mode === 1) return this.placeMoving(one, now);
    const taken = new Set();
    for (const other of this.standing) {
      if (other.mode === one.mode) for (let i = 0; i < other.lanes; i++) taken.add(other.lane + i);
    }
    for (let lane = 0; lane + one.lanes <= this.kept; lane++) {
      let free = true;
      for (let i = 0; i < one.lanes; i++) free = free && !taken.has(lane + i);
      if (free) {
        Object.assign(one, { lane, born: now });
        this.standing.push(one);
        return true;
      }
    }
    return false;
  }

  placeMoving(one, now) {
    const speed = (this.width + one.w) / CROSSING;
    for (let lane = this.kept; lane + one.lanes <= this.rows - this.kept; lane++) {
      const free = this.moving.every((other) => {
        if (other.lane + other.lanes <= lane || lane + one.lanes <= other.lane) return true;
        const x = this.width - other.speed * (now - other.born);
        const tailIsIn = x + other.w + GAP <= this.width;
        // When the new one reaches the left edge, the other is to be beyond it.
        const gone = (x + other.w) / other.speed;
        return tailIsIn && gone <= (this.width - GAP) / speed;
      });
      if (free) {
        Object.assign(one, { lane, speed, born: now });
        this.moving.push(one);
        return true;
      }
    }
    return false;
  }

  draw(now) {
    const { pen, ratio } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.scenery(this.still.matches ? 0 : now / 1000);
    if (this.waiting.length) {
      this.waiting = this.waiting.filter((one) => {
        if (this.place(one, now)) return false;
        if (now - one.since < PATIENCE) return true;
        this.undrawn += 1;
        return false;
      });
    }
    this.moving = this.moving.filter((one) => this.width - one.speed * (now - one.born) + one.w > 0);
    this.standing = this.standing.filter((one) => now - one.born < STANDING);
    for (const one of this.moving) {
      pen.drawImage(one.image, this.width - one.speed * (now - one.born), 4 + one.lane * this.row, one.w, one.h);
    }
    for (const one of this.standing) {
      const y = one.mode === 5 ? 4 + one.lane * this.row : this.height - 6 - one.lane * this.row - one.h;
      pen.drawImage(one.image, (this.width - one.w) / 2, y, one.w, one.h);
    }
    this.rise(now);
  }

  rise(now) {
    const { pen } = this;
    const life = 2600;
    this.hearts = this.hearts.filter((heart) => now - heart.born < life);
    for (const heart of this.hearts) {
      const age = (now - heart.born) / life;
      if (age < 0) continue;
      const size = (14 + 10 * Math.min(1, age * 6)) * this.scale;
      const x = this.width - 70 * this.scale - heart.x * 60 * this.scale + Math.sin(heart.sway + age * 7) * 12;
      const y = this.height - 60 - age * this.height * 0.6;
      pen.save();
      pen.globalAlpha = Math.min(1, (1 - age) * 1.6);
      pen.fillStyle = `hsl(${heart.hue} 95% 64%)`;
      pen.translate(x, y);
      pen.scale(size / 16, size / 16);
      pen.beginPath();
      pen.moveTo(0, 6);
      pen.bezierCurveTo(-12, -2, -6, -11, 0, -5);
      pen.bezierCurveTo(6, -11, 12, -2, 0, 6);
      pen.fill();
      pen.restore();
    }
  }

  // A valley at night: stars, a moon, hills that pass at their own speeds, and a river of light.
  scenery(t) {
    const { pen, width, height } = this;
    if (!this.sky) {
      this.sky = pen.createLinearGradient(0, 0, 0, height);
      this.sky.addColorStop(0, "#0b1030");
      this.sky.addColorStop(0.5, "#2b2a5e");
      this.sky.addColorStop(0.78, "#7a3f6d");
      this.sky.addColorStop(1, "#c2695a");
    }
    pen.fillStyle = this.sky;
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = "#fff";
    for (const [x, y, size, phase] of this.stars) {
      pen.globalAlpha = 0.35 + 0.3 * Math.sin(t * 1.2 + phase);
      pen.fillRect(((x + t * 0.002) % 1) * width, y * height, size, size);
    }
    pen.globalAlpha = 1;
    pen.fillStyle = "#ffe9c9";
    pen.beginPath();
    pen.arc(width * 0.78, height * (0.24 + 0.015 * Math.sin(t * 0.2)), Math.min(width, height) * 0.07, 0, 7);
    pen.fill();
    const hills = [[0.62, 0.1, 6, "#3b2f5f"], [0.74, 0.08, 14, "#292450"], [0.86, 0.06, 30, "#17173a"]];
    for (const [base, rise, speed, colour] of hills) {
      pen.fillStyle = colour;
      pen.beginPath();
      pen.moveTo(0, height);
      for (let x = 0; x <= width + 16; x += 16) {
        const u = (x + t * speed) / 170;
        pen.lineTo(x, height * (base + rise * (Math.sin(u) * 0.5 + Math.sin(u * 0.37 + base * 9) * 0.5)));
      }
      pen.lineTo(width, height);
      pen.fill();
    }
    for (let i = 0; i < 9; i++) {
      const x = (((i * 0.131 + t * 0.02 * (1 + (i % 3))) % 1.1) - 0.05) * width;
      const y = height * (0.9 + 0.02 * Math.sin(t + i * 2));
      pen.fillStyle = "rgba(255, 214, 140, 0.75)";
      pen.beginPath();
      pen.arc(x, y, 2 + (i % 3), 0, 7);
      pen.fill();
    }
  }
}
