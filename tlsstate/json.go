package tlsstate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// historyJSON is the form in which histories are exported and imported: days
// as 2026-09-21, sets of days and weeks as hexadecimal numbers whose lowest
// bit is the last day, and its week. What is zero is left out.
type historyJSON struct {
	Epoch      uint16           `json:"epoch,omitempty"`
	First      Day              `json:"first,omitzero"`
	Last       Day              `json:"last,omitzero"`
	Seen       map[Level]string `json:"seen,omitempty"`
	WeekTLS    string           `json:"weeks_tls,omitempty"`
	WeekPlain  string           `json:"weeks_none,omitempty"`
	CertDays   string           `json:"certificate,omitempty"`
	NoCertDays string           `json:"no_certificate,omitempty"`
	Cert       string           `json:"certificate_mark,omitempty"`
	CertSince  Day              `json:"certificate_since,omitzero"`
	Networks   string           `json:"networks,omitempty"`
	Addresses  string           `json:"addresses,omitempty"`
	Bare       string           `json:"addresses_none,omitempty"`
	Named      string           `json:"addresses_spf,omitempty"`
	HostNames  string           `json:"host_names,omitempty"`
	Senders    string           `json:"senders,omitempty"`
	Name       string           `json:"name,omitempty"`
	NameDay    Day              `json:"name_day,omitzero"`
	Pins       map[string]Pin   `json:"pins,omitempty"`
}

// certificatePin is the name of the pin on the client certificate.
const certificatePin = "certificate"

// MarshalJSON returns the documented form of a history; see docs/commands.md.
func (h History) MarshalJSON() ([]byte, error) {
	j := historyJSON{
		Epoch: h.Epoch, First: h.First, Last: h.Last,
		CertSince: h.Cert.Since, Name: h.Name.Text, NameDay: h.Name.Day,
	}
	for l, set := range h.Seen {
		if set != 0 {
			j.Seen = put(j.Seen, Level(l), hexText(set))
		}
	}
	for text, set := range h.sets(&j) {
		*text = hexText(*set)
	}
	for name, p := range h.named() {
		if *p != (Pin{}) {
			j.Pins = put(j.Pins, name, *p)
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
	h.First, h.Last, h.Cert.Since = j.First, j.Last, j.CertSince
	h.Name.Text, h.Name.Day = j.Name, j.NameDay
	for l, text := range j.Seen {
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
		*pin = p
	}
	return err
}

// sets pairs the sets of a history with their texts.
func (h *History) sets(j *historyJSON) map[*string]*uint64 {
	return map[*string]*uint64{
		&j.WeekTLS: &h.WeekTLS, &j.WeekPlain: &h.WeekPlain,
		&j.CertDays: &h.CertDays, &j.NoCertDays: &h.NoCertDays,
		&j.Networks: (*uint64)(&h.Networks), &j.Addresses: (*uint64)(&h.Addresses), &j.Bare: (*uint64)(&h.Bare),
		&j.Named: (*uint64)(&h.Named), &j.HostNames: (*uint64)(&h.HostNames), &j.Senders: (*uint64)(&h.Senders), &j.Cert: &h.Cert.Mark,
	}
}

func (h *History) named() map[string]*Pin {
	return map[string]*Pin{
		Weak.String(): &h.Pins[0], TLS12.String(): &h.Pins[1], TLS13.String(): &h.Pins[2],
		certificatePin: &h.CertPin,
	}
}

func put[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = make(map[K]V)
	}
	m[key] = value
	return m
}

func hexText(set uint64) string {
	if set == 0 {
		return ""
	}
	return strconv.FormatUint(set, 16)
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
