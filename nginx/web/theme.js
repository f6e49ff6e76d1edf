// Before the first paint, so that nothing flashes: the appearance that was chosen.
document.documentElement.dataset.theme = localStorage.getItem('theme') ?? 'system';
