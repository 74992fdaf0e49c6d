package control

import (
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many scrapes may be under way at once.
const maxScrapes = 4

// metrics is the /metrics handler, over a registry of its own. Config.Collect is
// asked from when started says so.
func metrics(cfg *Config, started *atomic.Bool) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newFigures(cfg, started),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		ErrorHandling:       promhttp.ContinueOnError,
	})
}

// figures is a prometheus.Collector over Config.Collect: one Snapshot a scrape.
type figures struct {
	collect func() Snapshot
	started *atomic.Bool
	build   prometheus.Metric
	store   *prometheus.Desc // weir_store_seconds, the only histogram
	all     []figure
}

// figure is a metric and how a Snapshot tells its series.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(s *Snapshot, add addFunc)
}

// addFunc takes the value of one series; labels are in desc's order.
type addFunc func(value float64, labels ...string)

func newFigures(cfg *Config, started *atomic.Bool) *figures {
	build := prometheus.NewDesc("weir_build_info", "Which weir this is; always 1.",
		nil, prometheus.Labels{"version": cfg.Build.Version, "revision": cfg.Build.Revision, "goversion": cfg.Build.Go})
	return &figures{
		collect: cfg.Collect,
		started: started,
		build:   prometheus.MustNewConstMetric(build, prometheus.GaugeValue, 1),
		store: prometheus.NewDesc("weir_store_seconds",
			"Seconds from handing a message to the store until its answer.", nil, nil),
		all: append(traffic(), stores()...),
	}
}

// Describe implements prometheus.Collector.
func (f *figures) Describe(ch chan<- *prometheus.Desc) {
	ch <- f.build.Desc()
	ch <- f.store
	for _, m := range f.all {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (f *figures) Collect(ch chan<- prometheus.Metric) {
	ch <- f.build
	if f.collect == nil || !f.started.Load() {
		return
	}
	s := f.collect()
	count, buckets := s.StoreSeconds.cumulative()
	h, err := prometheus.NewConstHistogram(f.store, count, s.StoreSeconds.Sum, buckets)
	ch <- orInvalid(f.store, h, err)
	for _, m := range f.all {
		m.read(&s, func(value float64, labels ...string) {
			v, err := prometheus.NewConstMetric(m.desc, m.kind, value, labels...)
			ch <- orInvalid(m.desc, v, err)
		})
	}
}

// orInvalid is m, or, if there is an error, a metric that tells the scrape of it
// instead of ending the process.
func orInvalid(d *prometheus.Desc, m prometheus.Metric, err error) prometheus.Metric {
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}
