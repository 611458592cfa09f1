package population

// Figures are what a rule did to a world.
type Figures struct {
	Rule string
	// Other says that the rule is none of ours.
	Other bool
	// Attacks is how many attacks there were that a memory may be expected to
	// notice; First of them were caught at their first message, Later at a
	// later one. Known is how many began at an address that had always
	// encrypted for five days or more, KnownFirst how many of these were caught
	// at once.
	Attacks, First, Later int
	Known, KnownFirst     int
	// Stripped is how many sessions attacks lowered, Leaked how many of them
	// were let in.
	Stripped, Leaked int
	// Messages is how many were legitimate and no attack's; Delayed and Lost
	// are those of them that did not arrive at once, and not at all.
	Messages, Delayed, Lost int
	// Days is how long it all took, All how many messages came in it, whoever
	// they were from. Incidents is how many led to more than a header, Alerts
	// how many remain when those of a domain and of the breaker are sent as one;
	// no attack was behind the wrong ones.
	Days, All                 int
	Incidents, WrongIncidents int
	Alerts, Wrong             int
	// Pinned is how many peers that send in clear would be refused at the end.
	Pinned int
	// OutageDomains is how many domains our own outage delayed.
	OutageDomains int
	// Median and Late are how many days after its first message half, and
	// nine tenths, of the peers that always encrypt were protected; Unprotected
	// is how many of 100 never were. Covered is of how many of 100 messages of
	// theirs, after the first month, one stripped would have been noticed.
	Median, Late         int
	Unprotected, Covered float64
	// Others is how many messages of others fared differently for what hostile
	// senders did; -1 if that wasn't tried.
	Others int
	// Rows has each row of the tables.
	Rows  []AttackFigures
	Peers []KindFigures
}

// AttackFigures are those of one row of the table of attacks.
type AttackFigures struct {
	Attack             *Attack
	Attacks            int
	First, Later       int
	Sessions, Unharmed int
}

// KindFigures are those of one row of the table of peers.
type KindFigures struct {
	Kind                           *Kind
	Peers, Messages, Delayed, Lost int
	Wrong                          int
}

func (r *run) figures(rule *Rule) *Figures {
	f := &Figures{
		Rule: rule.Name, Other: rule.Other != nil, Stripped: r.stripped, Leaked: r.leaked, Days: r.w.o.Days, All: len(r.w.mail),
		Incidents: r.opened, WrongIncidents: r.wronglyOpened, Alerts: len(r.alerts), Wrong: r.wrongAlerts(),
		Pinned: r.pinned, OutageDomains: len(r.delayedIn), Others: -1,
	}
	r.attackFigures(f)
	r.kindFigures(f)
	var times []int64
	met := 0
	for i, at := range r.protected {
		if r.met[i] < 0 {
			continue
		}
		met++
		if at >= 0 {
			times = append(times, at)
		}
	}
	// Peers that never were come last.
	f.Unprotected = 100 * float64(met-len(times)) / float64(max(met, 1))
	for range met - len(times) {
		times = append(times, r.w.end())
	}
	f.Median, f.Late = int(quantile(times, 0.5)/day), int(quantile(times, 0.9)/day)
	f.Covered = 100 * float64(r.covered) / float64(max(r.probes, 1))
	return f
}

func (r *run) attackFigures(f *Figures) {
	rows := map[*Attack]int{}
	for i := range attacks {
		rows[&attacks[i]] = i
		f.Rows = append(f.Rows, AttackFigures{Attack: &attacks[i]})
	}
	for i, a := range r.attacks {
		if a.messages == 0 {
			continue // nothing came while it lasted
		}
		of := &r.w.attacks[i]
		row := &f.Rows[rows[of.row]]
		row.Attacks++
		row.Sessions += a.messages
		first, later := a.caught == 1, a.caught > 1
		row.First += one(first)
		row.Later += one(later)
		if of.row.Hopeless != "" {
			continue
		}
		f.Attacks++
		f.First += one(first)
		f.Later += one(later)
		f.Known += one(of.known)
		f.KnownFirst += one(of.known && first)
	}
}

func (r *run) kindFigures(f *Figures) {
	rows := map[*Kind]int{}
	for i := range kinds {
		rows[&kinds[i]] = i
		f.Peers = append(f.Peers, KindFigures{Kind: &kinds[i]})
	}
	for i := range r.w.peers {
		if k, ok := rows[r.w.peers[i].kind]; ok {
			f.Peers[k].Peers++
		}
	}
	for k := range kinds {
		f.Peers[k].Wrong = r.wrongBy[&kinds[k]]
	}
	for n := range r.fates {
		m, fate := &r.w.mail[n], &r.fates[n]
		if m.bits&junk != 0 || fate.attacked {
			continue
		}
		row := &f.Peers[rows[r.w.peers[r.w.hosts[m.host].peer].kind]]
		row.Messages++
		f.Messages++
		delayed := fate.tries > 1 && !fate.lost
		row.Delayed += one(delayed)
		row.Lost += one(fate.lost)
		f.Delayed += one(delayed)
		f.Lost += one(fate.lost)
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// differs counts the messages that fared differently in another run of the
// same world with fewer senders in it.
func (r *run) differs(fewer *run) (n int) {
	k := 0
	for i := range r.w.mail {
		if r.w.mail[i].bits&hostile != 0 {
			continue
		}
		if r.fates[i] != fewer.fates[k] {
			n++
		}
		k++
	}
	return n
}

// TryAll runs rules through the world that the options make. progress, if not
// nil, is called for each one that is done.
func TryAll(o Options, rules []Rule, progress func(*Figures)) ([]*Figures, error) {
	o.Hostile = false
	peaceful := New(o)
	o.Hostile = true
	w := New(o)
	var all []*Figures
	for i := range rules {
		r, err := w.run(&rules[i])
		if err != nil {
			return nil, err
		}
		f := r.figures(&rules[i])
		if rules[i].Peaceful {
			fewer, err := peaceful.run(&rules[i])
			if err != nil {
				return nil, err
			}
			f.Others = r.differs(fewer)
		}
		all = append(all, f)
		if progress != nil {
			progress(f)
		}
	}
	return all, nil
}
