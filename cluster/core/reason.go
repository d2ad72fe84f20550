package core

import (
	"fmt"
	"strings"
	"time"
)

// Code is a reason fit for a metric label.
type Code string

// The reasons.
const (
	// Why it is where it is.
	Started       Code = "started"
	HolderKnown   Code = "holder-known"
	StartHeld     Code = "start-hold-over"
	AllHeard      Code = "all-heard"
	Adopted       Code = "adopted"
	OnlyDirector  Code = "only-director"
	HolderSilent  Code = "holder-silent"
	HolderDead    Code = "holder-dead"
	HolderGone    Code = "holder-gave-up"
	HolderLeft    Code = "holder-left"
	NoHolder      Code = "no-holder"
	Refuted       Code = "refuted"
	HandedOver    Code = "handed-over"
	ByOperator    Code = "operator"
	AddressesUp   Code = "addresses-up"
	HigherTerm    Code = "higher-term"
	HigherPrio    Code = "higher-priority"
	LowerName     Code = "lower-name"
	OtherHealthy  Code = "other-healthier"
	SeenElsewhere Code = "seen-elsewhere"
	HardFault     Code = "fault"
	Recovered     Code = "recovered"
	Degraded      Code = "degraded"
	FewerWitness  Code = "fewer-witnesses"
	Isolated      Code = "isolated"
	QuorumLost    Code = "quorum-lost"
	LeaseLapsed   Code = "lease-lapsed"
	AddressLost   Code = "address-lost"
	AddressFailed Code = "address-failed"
	Preempted     Code = "preempted"
	Stopping      Code = "stopping"
	SuccessorHas  Code = "successor-has-it"
	NoSuccessor   Code = "no-successor"
	SuccessorMute Code = "successor-silent"
	SuccessorNo   Code = "successor-refuses"
	GroupRemoved  Code = "group-removed"
	Elected       Code = "elected"
	VoteFailed    Code = "vote-failed"

	// Why it waits.
	Listening     Code = "listening"
	HolderActive  Code = "holder-active"
	PeerHears     Code = "peer-hears-holder"
	NotYetDead    Code = "not-yet-dead"
	WireAnswers   Code = "wire-answers"
	HeldRemote    Code = "held-remote"
	UnknownHolder Code = "held-by-unknown"
	WireAsked     Code = "wire-asked"
	FenceWait     Code = "fence"
	NoWitness     Code = "no-witness"
	Holding       Code = "holding-off"
	RankWait      Code = "rank"
	BackOff       Code = "back-off"
	NoMajority    Code = "no-majority"
	GrantGiven    Code = "grant-given"
	PreemptWaits  Code = "preempt-waits"
	Serving       Code = "serving"
	Awaiting      Code = "awaiting-successor"

	// What is only told.
	Skew           Code = "config-skew"
	DirectorCount  Code = "director-count"
	DuplicateName  Code = "duplicate-name"
	NotHeardBy     Code = "not-heard-by"
	ForeignAnswer  Code = "foreign-answer"
	Conflict       Code = "conflict"
	Stall          Code = "stall"
	RefutedBurst   Code = "suspicion-refuted"
	TooManyPeers   Code = "too-many-directors"
	SlowedDown     Code = "slowed-down"
	FailoverFailed Code = "failover-failed"
)

// Reason is why something happened or didn't. It is comparable; String says it.
type Reason struct {
	Code  Code
	Node  string        // the other director
	Age   time.Duration // of what is told
	N, Of int
	MAC   MAC
	Text  string // somebody else's words
}

var plain = map[Code]string{
	Started:        "started",
	HolderKnown:    "%s is active",
	StartHeld:      "listened long enough",
	AllHeard:       "every director was heard and none is active",
	Adopted:        "its addresses are still here from an earlier process, and nobody else holds it",
	OnlyDirector:   "the only director",
	HolderSilent:   "no advert from %s for %a",
	HolderDead:     "no advert from %s for %a, and its address doesn't answer",
	HolderGone:     "%s gave it up",
	HolderLeft:     "%s left",
	NoHolder:       "nobody holds it",
	Refuted:        "%s is alive",
	HandedOver:     "handed over by %s",
	ByOperator:     "the operator wants it",
	AddressesUp:    "addresses up",
	HigherTerm:     "%s has the higher term",
	HigherPrio:     "higher priority than %s",
	LowerName:      "%s comes first by name",
	OtherHealthy:   "%s is healthier",
	SeenElsewhere:  "%s is active with a higher term, others say",
	HardFault:      "%t",
	Recovered:      "no fault for %a",
	Degraded:       "%t; %s is better",
	FewerWitness:   "%n of %o witnesses answer; more do for %s",
	Isolated:       "no director and no witness is heard",
	QuorumLost:     "only %n of %o directors confirm",
	LeaseLapsed:    "stalled for %a, longer than the addresses live",
	AddressLost:    "the addresses are gone",
	AddressFailed:  "addresses: %t",
	Preempted:      "%s asks for it with a higher priority",
	Stopping:       "stopping",
	SuccessorHas:   "%s has it",
	NoSuccessor:    "nobody can take it",
	SuccessorMute:  "%s doesn't answer the hand-over",
	SuccessorNo:    "%s can't take it",
	GroupRemoved:   "not configured any more",
	Elected:        "elected by %n of %o directors",
	VoteFailed:     "%n of %o directors granted it, not enough",
	Listening:      "listening before anything else",
	HolderActive:   "%s is active",
	PeerHears:      "%s still hears the holder",
	NotYetDead:     "%s is silent, not for long enough yet",
	WireAnswers:    "%s is silent, but its address answers from %m",
	HeldRemote:     "%s is silent, but its address answers for longer than it lives without it: only the path between us is broken",
	UnknownHolder:  "the address answers from %m, perhaps a director that we don't hear",
	WireAsked:      "asking the wire",
	FenceWait:      "the addresses of %s may still live",
	NoWitness:      "none of %o witnesses answers",
	Holding:        "holding off after a loss",
	RankWait:       "%n better directors go first",
	BackOff:        "waiting after a failed vote",
	NoMajority:     "%n of %o directors are heard, not the majority",
	GrantGiven:     "our vote is given to %s",
	PreemptWaits:   "better than %s, not for long enough yet",
	Serving:        "active",
	Awaiting:       "waiting for %s to take it",
	Skew:           "%s runs another configuration",
	DirectorCount:  "%s counts %n directors, we %o",
	DuplicateName:  "another process calls itself %s",
	NotHeardBy:     "%s doesn't hear us",
	ForeignAnswer:  "the address answers from %m, which is no director that holds it: a web node without `ipvsd realserver setup`?",
	Conflict:       "%s held it, too",
	Stall:          "stalled for %a",
	RefutedBurst:   "%s was silent for %a and is alive",
	TooManyPeers:   "more directors than the format has room for; %s is ignored",
	SlowedDown:     "claimed too often lately: waiting %n times as long",
	FailoverFailed: "%t",
}

func (r Reason) String() string {
	s, ok := plain[r.Code]
	if !ok {
		return string(r.Code)
	}
	if r.Text == "" && strings.Contains(s, "%t") {
		s = strings.ReplaceAll(s, "%t", string(r.Code))
	}
	return strings.NewReplacer("%s", r.Node, "%a", brief(r.Age), "%n", fmt.Sprint(r.N), "%o", fmt.Sprint(r.Of),
		"%m", r.MAC.String(), "%t", r.Text).Replace(s)
}

func brief(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// same is whether only its figures differ: not worth telling again.
func (r Reason) same(o Reason) bool {
	return r.Code == o.Code && r.Node == o.Node && r.Text == o.Text && r.MAC == o.MAC
}
