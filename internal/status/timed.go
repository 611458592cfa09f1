package status

import (
	"net/netip"
	"sync/atomic"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Judge is what decides: a *ratchet.Ratchet.
type Judge interface {
	Decide(*ratchet.Session) ratchet.Decision
	Learn(*ratchet.Session, *ratchet.Decision)
}

// How many decisions, and loads, there are to one that is timed: to time one
// takes half as long as to make one.
const (
	timedDecisions = 8
	timedLoads     = 16
)

// Judge returns next with one of 8 decisions timed.
func (m *Metrics) Judge(next Judge) Judge { return &timedJudge{Judge: next, m: m} }

type timedJudge struct {
	Judge
	m         *Metrics
	decisions atomic.Uint64
}

// Decide is that of the judge within.
func (j *timedJudge) Decide(s *ratchet.Session) ratchet.Decision {
	if j.decisions.Add(1)%timedDecisions != 1 {
		return j.Judge.Decide(s)
	}
	began := time.Now()
	d := j.Judge.Decide(s)
	j.m.decide.Observe(time.Since(began).Seconds())
	return d
}

// Histories returns next with its answers timed: of Load one in 16, for there
// are three to a message.
func (m *Metrics) Histories(next ratchet.Histories) ratchet.Histories {
	return &timedHistories{Histories: next, m: m}
}

type timedHistories struct {
	ratchet.Histories
	m     *Metrics
	loads atomic.Uint64
}

// Load is that of the memory within.
func (h *timedHistories) Load(id tlsstate.Identity) (tlsstate.History, error) {
	if h.loads.Add(1)%timedLoads != 1 {
		return h.Histories.Load(id)
	}
	began := time.Now()
	found, err := h.Histories.Load(id)
	h.m.load.Observe(time.Since(began).Seconds())
	return found, err
}

// Learn is that of the memory within.
func (h *timedHistories) Learn(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	began := time.Now()
	grown, err := h.Histories.Learn(id, client, today, grow)
	h.m.learn.Observe(time.Since(began).Seconds())
	return grown, err
}
