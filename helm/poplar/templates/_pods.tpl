{{- /* What every pod is: no token, no right, no writable root, and no more than it needs. */ -}}
{{- define "poplar.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "poplar.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Settings of a pod that all have in common. Argument: root. */ -}}
{{- define "poplar.podBasics" -}}
serviceAccountName: {{ include "poplar.serviceAccountName" . }}
{{ include "poplar.podBasicsOfHooks" . }}
{{- end -}}

{{- /* The same before there is a ServiceAccount of the release. Argument: root. */ -}}
{{- define "poplar.podBasicsOfHooks" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "poplar.podSecurity" . | nindent 2 }}
{{- with .Values.pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "poplar.imageOfContainer" -}}
image: {{ include "poplar.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- define "poplar.probes" -}}
startupProbe:
  httpGet: {path: /readyz, port: ops}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: ops}
  periodSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: ops}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- /* Pods of one part, spread over zones and hosts; those of another ReplicaSet don't count. Argument: dict root, component. */ -}}
{{- define "poplar.spread" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ $.root.Values.pod.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "poplar.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end -}}

{{- /* metadata of a pod. Argument: dict root, component. */ -}}
{{- define "poplar.podMetadata" -}}
labels:
  {{- /* No version here: a release that changes nothing of a pod must not replace it. */}}
  {{- include "poplar.merged" (list .root.Values.commonLabels .root.Values.pod.labels (include "poplar.selector" . | fromYaml)) | nindent 2 }}
annotations:
  {{- $sum := include "poplar.config" .root | fromYaml | toJson | sha256sum }}
  {{- include "poplar.merged" (list .root.Values.pod.annotations (dict "checksum/config" $sum)) | nindent 2 }}
{{- end -}}

{{- /*
A Deployment of `poplar VERB`. Argument: dict root, component, verb (a list), key (of the values), role, redis, objects, certificates,
ports (a list of listeners), replicas (empty: none is rendered).
*/ -}}
{{- define "poplar.deployment" -}}
{{- $values := index .root.Values .key -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "poplar.metadata" (dict "root" .root "component" .component "suffix" (printf "-%s" .component)) | nindent 2 }}
spec:
  {{- if ne .replicas "" }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  minReadySeconds: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: {{ .surge | default "25%" }}}
  selector:
    matchLabels:
      {{- include "poplar.selector" . | nindent 6 }}
  template:
    metadata:
      {{- include "poplar.podMetadata" . | nindent 6 }}
    spec:
      {{- include "poplar.podBasics" .root | nindent 6 }}
      {{- include "poplar.spread" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ include "poplar.terminationGrace" .root }}
      containers:
        - name: poplar
          {{- include "poplar.imageOfContainer" .root | nindent 10 }}
          args: {{ toJson .verb }}
          env:
            {{- include "poplar.env" . | nindent 12 }}
            {{- with include "poplar.traceEnv" .root }}
            {{- . | nindent 12 }}
            {{- end }}
          ports:
            {{- range append .ports "ops" }}
            - {name: {{ . }}, containerPort: {{ index $.root.Values.listeners . "port" }}, protocol: TCP}
            {{- end }}
          {{- include "poplar.probes" . | nindent 10 }}
          lifecycle:
            preStop:
              sleep: {seconds: {{ .root.Values.drain.preStopSeconds }}}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "poplar.containerSecurity" . | nindent 12 }}
          volumeMounts:
            {{- include "poplar.mounts" . | nindent 12 }}
      volumes:
        {{- include "poplar.volumes" . | nindent 8 }}
{{- end -}}

{{- /* Argument: dict root, certificates. */ -}}
{{- define "poplar.mounts" -}}
- {name: config, mountPath: /etc/poplar/config, readOnly: true}
{{- range $number, $name := .root.Values.authorities.secretNames }}
- {name: ca-{{ $number }}, mountPath: /etc/poplar/ca/{{ $name }}, readOnly: true}
{{- end }}
{{- if .certificates }}
{{- range $number, $name := include "poplar.certificateSecrets" .root | fromJsonArray }}
- {name: tls-{{ $number }}, mountPath: /etc/poplar/tls/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "poplar.volumes" -}}
- name: config
  configMap: {name: {{ include "poplar.fullname" .root }}{{ .configSuffix }}}
{{- /* A key that lies beside it in the Secret stays out of the pod. */}}
{{- range $number, $name := .root.Values.authorities.secretNames }}
- name: ca-{{ $number }}
  secret: {secretName: {{ $name | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- if .certificates }}
{{- range $number, $name := include "poplar.certificateSecrets" .root | fromJsonArray }}
- name: tls-{{ $number }}
  secret: {secretName: {{ $name | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end -}}
