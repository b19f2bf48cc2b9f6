"use strict";
// Draws the figures, in the colours of the style sheet; again when these change.
(() => {
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  const still = { displayModeBar: false, responsive: true, showTips: false };

  const coloured = (value, style) => {
    if (Array.isArray(value)) return value.map((entry) => coloured(entry, style));
    if (value && typeof value === "object") {
      const found = {};
      for (const key of Object.keys(value)) found[key] = coloured(value[key], style);
      return found;
    }
    // only whole tokens of ours; a text that begins with "@" has no such property
    if (typeof value === "string" && /^@[a-z]+$/.test(value)) {
      return style.getPropertyValue(`--${value.slice(1)}`).trim() || value;
    }
    return value;
  };

  const framed = (layout, style) => {
    const ink = style.getPropertyValue("--ink-2").trim();
    const grid = style.getPropertyValue("--rule").trim();
    const axis = {
      gridcolor: grid,
      linecolor: grid,
      zerolinecolor: grid,
      tickfont: { size: 12 },
      title: { font: { size: 12 }, standoff: 10 },
      automargin: true,
    };
    const merged = (own) => ({ ...axis, ...own, title: { ...axis.title, ...own.title } });
    return {
      ...layout,
      height: narrow.matches ? 300 : 340,
      margin: { l: 8, r: 24, t: 34, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.fontFamily, size: 12, color: ink },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      hoverlabel: {
        bgcolor: style.getPropertyValue("--ink").trim(),
        bordercolor: style.getPropertyValue("--ink").trim(),
        font: { color: style.getPropertyValue("--paper").trim(), family: style.fontFamily },
      },
      dragmode: false,
      xaxis: merged(layout.xaxis),
      yaxis: merged(layout.yaxis),
    };
  };

  const draw = () => {
    const style = getComputedStyle(document.body);
    plots.forEach((plot, place) => {
      const target = document.getElementById(`plot-${place}`);
      Plotly.react(target, coloured(plot.data, style), framed(coloured(plot.layout, style), style), still);
    });
  };

  // an inline script whose text the policy names by its hash
  const unpacked = async () => {
    const letters = atob(document.getElementById("plotly").textContent);
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  };

  unpacked().then(() => {
    draw();
    dark.addEventListener("change", draw);
    narrow.addEventListener("change", draw);
    addEventListener("beforeprint", draw);
    addEventListener("afterprint", draw);
    document.documentElement.dataset.drawn = String(plots.length);
  });
})();
