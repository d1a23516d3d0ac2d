// Heat maps: one condition and metric at a time, as scores or as gains.
all("[data-heat]").forEach((box) => {
  const wanted = {};
  const show = () => {
    all(".scroll", box).forEach((map) => {
      map.hidden = map.dataset.condition !== wanted.condition || map.dataset.metric !== wanted.metric;
    });
    box.classList.toggle("gains", wanted.shown === "gains");
  };
  all("[data-pick]", box).forEach((group) => choose(group, (value) => {
    wanted[group.dataset.pick] = value;
    show();
  }));
});
