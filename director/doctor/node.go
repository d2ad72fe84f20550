package doctor

func nodeMissing(f *Facts) (out []Finding) {
	if f.Node == nil {
		return nil
	}
	for _, m := range f.Node.Missing {
		x := Finding{Object: m.What, Reason: m.Why, Cure: m.Cure}
		if m.Repair {
			x.Actions = []Action{{Op: RepairNode}}
		}
		if x.Cure == "" {
			x.Cure = "ipvsd realserver status"
		}
		out = append(out, x)
	}
	return out
}

func nodeNotes(f *Facts) (out []Finding) {
	if f.Node == nil {
		return nil
	}
	for _, m := range f.Node.Notes {
		out = append(out, Finding{Object: m.What, Reason: m.Why, Cure: m.Cure})
	}
	return out
}
