package tlsstate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// historyJSON is the form in which histories are exported and imported: days
// as 2026-09-21, sets of days and weeks as hexadecimal numbers whose lowest
// bit is the last day, and its week. What is zero is left out.
type historyJSON struct {
	Epoch      uint16             `json:"epoch,omitempty"`
	First      string             `json:"first,omitempty"`
	Last       string             `json:"last,omitempty"`
	Seen       map[string]string  `json:"seen,omitempty"`
	WeekTLS    string             `json:"weeks_tls,omitempty"`
	WeekPlain  string             `json:"weeks_none,omitempty"`
	CertDays   string             `json:"certificate,omitempty"`
	NoCertDays string             `json:"no_certificate,omitempty"`
	Cert       string             `json:"certificate_mark,omitempty"`
	CertSince  string             `json:"certificate_since,omitempty"`
	Networks   string             `json:"networks,omitempty"`
	Addresses  string             `json:"addresses,omitempty"`
	Bare       string             `json:"addresses_none,omitempty"`
	Named      string             `json:"addresses_spf,omitempty"`
	HostNames  string             `json:"host_names,omitempty"`
	Name       string             `json:"name,omitempty"`
	NameDay    string             `json:"name_day,omitempty"`
	Pins       map[string]pinJSON `json:"pins,omitempty"`
}

type pinJSON struct {
	Formed string `json:"formed,omitempty"`
	Met    string `json:"met,omitempty"`
	Void   string `json:"void,omitempty"`
}

// certificatePin is the name of the pin on the client certificate.
const certificatePin = "certificate"

// MarshalJSON returns the documented form of a history; see docs/commands.md.
func (h History) MarshalJSON() ([]byte, error) {
	j := historyJSON{
		Epoch: h.Epoch, First: dayText(h.First), Last: dayText(h.Last),
		CertSince: dayText(h.Cert.Since), Name: h.Name.Text, NameDay: dayText(h.Name.Day),
	}
	for l, set := range h.Seen {
		if set != 0 {
			j.Seen = put(j.Seen, Level(l).String(), hexText(set))
		}
	}
	for text, set := range h.sets(&j) {
		*text = hexText(*set)
	}
	for name, p := range h.named() {
		if *p != (Pin{}) {
			j.Pins = put(j.Pins, name, pinJSON{dayText(p.Formed), dayText(p.Met), dayText(p.Void)})
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown key is an error, for
// what it says would be lost. Whatever the bytes, the result is
// a history that [History.Valid] accepts, or an error that says what is wrong.
func (h *History) UnmarshalJSON(b []byte) error {
	var j historyJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return err
	}
	var read History
	if err := read.from(&j); err != nil {
		return err
	}
	if err := read.Valid(); err != nil {
		return err
	}
	*h = read
	return nil
}

func (h *History) from(j *historyJSON) (err error) {
	h.Epoch = j.Epoch
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	keep(parseDay(j.First, &h.First))
	keep(parseDay(j.Last, &h.Last))
	keep(parseDay(j.CertSince, &h.Cert.Since))
	keep(parseDay(j.NameDay, &h.Name.Day))
	h.Name.Text = j.Name
	for name, text := range j.Seen {
		l, e := ParseLevel(name)
		keep(e)
		keep(parseHex(text, &h.Seen[l]))
	}
	for text, set := range h.sets(j) {
		keep(parseHex(*text, set))
	}
	named := h.named()
	for name, p := range j.Pins {
		pin, known := named[name]
		if !known {
			return fmt.Errorf("unknown pin %q", name)
		}
		keep(parseDay(p.Formed, &pin.Formed))
		keep(parseDay(p.Met, &pin.Met))
		keep(parseDay(p.Void, &pin.Void))
	}
	return err
}

// sets pairs the sets of a history with their texts.
func (h *History) sets(j *historyJSON) map[*string]*uint64 {
	return map[*string]*uint64{
		&j.WeekTLS: &h.WeekTLS, &j.WeekPlain: &h.WeekPlain,
		&j.CertDays: &h.CertDays, &j.NoCertDays: &h.NoCertDays,
		&j.Networks: (*uint64)(&h.Networks), &j.Addresses: (*uint64)(&h.Addresses), &j.Bare: (*uint64)(&h.Bare),
		&j.Named: (*uint64)(&h.Named), &j.HostNames: (*uint64)(&h.HostNames), &j.Cert: &h.Cert.Mark,
	}
}

func (h *History) named() map[string]*Pin {
	return map[string]*Pin{
		Weak.String(): &h.Pins[0], TLS12.String(): &h.Pins[1], TLS13.String(): &h.Pins[2],
		certificatePin: &h.CertPin,
	}
}

func put[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = make(map[string]V)
	}
	m[key] = value
	return m
}

func dayText(d Day) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func hexText(set uint64) string {
	if set == 0 {
		return ""
	}
	return strconv.FormatUint(set, 16)
}

func parseDay(s string, to *Day) error {
	if s == "" {
		return nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return fmt.Errorf("day %q: want the form 2026-09-21", s)
	}
	if *to = DayOf(t); to.String() != s {
		return fmt.Errorf("day %q: want 1970-01-02 to %s", s, Day(1<<16-1))
	}
	return nil
}

func parseHex(s string, to *uint64) error {
	if s == "" {
		return nil
	}
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return fmt.Errorf("set %q: want up to 16 hexadecimal digits", s)
	}
	*to = n
	return nil
}
