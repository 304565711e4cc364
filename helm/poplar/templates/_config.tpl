{{- /* Poplar's settings file: `config`, and what the other keys of the chart say. */ -}}
{{- define "poplar.config" -}}
{{- $values := .Values -}}
{{- $config := deepCopy $values.config -}}
{{- $listeners := list -}}
{{- if $values.listeners.pop3.enabled -}}
{{- $listeners = append $listeners (include "poplar.listener" (dict "root" . "name" "pop3" "protocol" "pop3") | fromYaml) -}}
{{- end -}}
{{- if $values.listeners.pop3s.enabled -}}
{{- $listeners = append $listeners (include "poplar.listener" (dict "root" . "name" "pop3s" "protocol" "pop3") | fromYaml) -}}
{{- end -}}
{{- $listeners = append $listeners (include "poplar.listener" (dict "root" . "name" "lmtp" "protocol" "lmtp") | fromYaml) -}}
{{- $_ := set $config "listeners" $listeners -}}
{{- $_ := set $config "http" (dict "port" $values.listeners.ops.port) -}}
{{- $_ := set $config "drain" (dict "grace" $values.drain.sessionGraceSeconds) -}}
{{- $_ := set $config "tls" (mergeOverwrite (dict) (default (dict) $config.tls) (dict "directory" "/etc/poplar/tls")) -}}
{{- with $values.limits -}}
{{- $_ := set $config "limits" . -}}
{{- end -}}
{{- $store := dict "url" $values.objectStore.url -}}
{{- with $values.objectStore.endpoint -}}
{{- $_ := set $store "endpoint" . -}}
{{- end -}}
{{- with $values.objectStore.region -}}
{{- $_ := set $store "region" . -}}
{{- end -}}
{{- with $values.objectStore.account -}}
{{- $_ := set $store "account" . -}}
{{- end -}}
{{- $_ := set $config "object_store" (mergeOverwrite (dict) (default (dict) $config.object_store) $store) -}}
{{ toYaml $config }}
{{- end -}}

{{- /* One listener. Argument: dict root, name, protocol. */ -}}
{{- define "poplar.listener" -}}
{{- $listener := index .root.Values.listeners .name -}}
name: {{ .name }}
protocol: {{ .protocol }}
port: {{ $listener.port }}
tls: {{ $listener.tls | quote }}
{{- if and (eq .protocol "pop3") (include "poplar.proxyRequired" .root) }}
proxy_protocol: required
trusted: {{ toJson .root.Values.proxyProtocol.trustedCIDRs }}
{{- end }}
{{- end -}}

{{- /* Settings that are secrets, as environment variables. Argument: dict root, role (of the database; may be empty), stores. */ -}}
{{- define "poplar.env" -}}
- name: POPLAR_CONFIG
  value: /etc/poplar/config/poplar.yaml
{{- if .role }}
{{- $secret := include "poplar.databaseSecret" . | fromJson }}
- name: POPLAR_DATABASE__{{ upper .role }}_URL
  valueFrom: {secretKeyRef: {name: {{ $secret.secretName | quote }}, key: {{ $secret.key | quote }}}}
{{- end }}
{{- if .redis }}
- name: POPLAR_REDIS__URL
  valueFrom: {secretKeyRef: {name: {{ .root.Values.redis.secretName | quote }}, key: {{ .root.Values.redis.key | quote }}}}
{{- end }}
{{- with .root.Values.objectStore }}
{{- if and $.objects .secretName }}
- name: POPLAR_OBJECT_STORE__ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .secretName | quote }}, key: {{ .accessKeyKey | quote }}}}
- name: POPLAR_OBJECT_STORE__SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .secretName | quote }}, key: {{ .secretKeyKey | quote }}}}
{{- end }}
{{- end }}
{{- range .root.Values.secretSettings }}
- name: POPLAR_{{ .setting | replace "." "__" | upper }}
  valueFrom: {secretKeyRef: {name: {{ .secretName | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end -}}

{{- /* What the migration is given: of the storage's keys only those without which the settings aren't whole. Argument: root. */ -}}
{{- define "poplar.migrationEnv" -}}
{{- $named := and (hasPrefix "az://" .Values.objectStore.url) (not .Values.objectStore.account) -}}
{{- include "poplar.env" (dict "root" . "role" "owner" "redis" false "objects" $named) -}}
{{- end -}}

{{- /* The Secrets that must be there before the migration, as a JSON list. */ -}}
{{- define "poplar.migrationSecrets" -}}
{{- $names := .Values.authorities.secretNames -}}
{{- range include "poplar.migrationEnv" . | fromYamlArray -}}
{{- with dig "valueFrom" "secretKeyRef" "name" "" . -}}
{{- $names = append $names . -}}
{{- end -}}
{{- end -}}
{{ uniq $names | toJson }}
{{- end -}}

{{- /* Not empty where sessions are traced. */ -}}
{{- define "poplar.traced" -}}
{{- if dig "traces" "enabled" false .Values.config }}yes{{ end -}}
{{- end -}}

{{- /* Which pod a trace is of: OpenTelemetry reads it from the environment. */ -}}
{{- define "poplar.traceEnv" -}}
{{- if include "poplar.traced" . -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ printf "k8s.namespace.name=%s,k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)" .Release.Namespace | quote }}
{{- end -}}
{{- end -}}
