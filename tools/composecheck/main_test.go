package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		name, yaml, fault string // fault: part of the error; "" for none
	}{
		{name: "a service", yaml: "services: {a: {image: x}}"},
		{name: "no YAML", yaml: "services: [", fault: "yaml"},
		{name: "unknown key of a service", yaml: "services: {a: {image: x, imagee: y}}", fault: "imagee"},
		{name: "unknown section", yaml: "servics: {a: {image: x}}", fault: "servics"},
		{name: "wrong type", yaml: "services: {a: {image: 7}}", fault: "image"},
		{name: "neither image nor build", yaml: "services: {a: {restart: always}}", fault: "image"},
		{name: "undefined volume", yaml: "services: {a: {image: x, volumes: [data:/data]}}", fault: "data"},
		{name: "dependence on nobody", yaml: "services: {a: {image: x, depends_on: [b]}}", fault: `"b"`},
		{name: "unset variable", yaml: "services: {a: {image: '${X:?needed}'}}", fault: "X"},
		{name: "missing mounted file", yaml: "services: {a: {image: x, volumes: [./no.conf:/a.conf:ro]}}", fault: "no.conf"},
		{name: "missing config", yaml: "services: {a: {image: x, configs: [c]}}\nconfigs: {c: {file: ./no.yml}}", fault: "no.yml"},
		{name: "missing Dockerfile", yaml: "services: {a: {build: .}}", fault: "Dockerfile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "docker-compose.yml")
			if err := os.WriteFile(file, []byte(tt.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			err := check(t.Context(), file)
			switch {
			case tt.fault == "" && err != nil:
				t.Fatalf("a valid file is refused: %v", err)
			case tt.fault != "" && err == nil:
				t.Fatal("a broken file passes")
			case tt.fault != "" && !strings.Contains(err.Error(), tt.fault):
				t.Fatalf("the fault does not name %q: %v", tt.fault, err)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	if check(t.Context(), filepath.Join(t.TempDir(), "no.yml")) == nil {
		t.Fatal("a file that is not there passes")
	}
}
