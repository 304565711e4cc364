{{- /* What no schema can tell, all at once and in plain words. */ -}}
{{- define "poplar.validate" -}}
{{- $wrong := concat
  (include "poplar.wrong.proxy" . | fromJsonArray)
  (include "poplar.wrong.systems" . | fromJsonArray)
  (include "poplar.wrong.listeners" . | fromJsonArray)
  (include "poplar.wrong.gateway" . | fromJsonArray)
  (include "poplar.wrong.scale" . | fromJsonArray)
  (include "poplar.wrong.others" . | fromJsonArray)
-}}
{{- if $wrong -}}
{{- fail (printf "\n\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}

{{- define "poplar.wrong.proxy" -}}
{{- $wrong := list -}}
{{- $trusted := .Values.proxyProtocol.trustedCIDRs -}}
{{- if and (include "poplar.proxyRequired" .) (not $trusted) -}}
{{- $wrong = append $wrong "proxyProtocol.trustedCIDRs must name the balancers' networks when proxyProtocol.mode is required" -}}
{{- end -}}
{{- if and $trusted (not (include "poplar.proxyRequired" .)) -}}
{{- $wrong = append $wrong "proxyProtocol.trustedCIDRs has no effect while proxyProtocol.mode is off" -}}
{{- end -}}
{{- range $trusted -}}
{{- if regexMatch "/0+$" . -}}
{{- $wrong = append $wrong (printf "proxyProtocol.trustedCIDRs must not hold %s: anybody could then claim any address" .) -}}
{{- end -}}
{{- end -}}
{{ toJson $wrong }}
{{- end -}}

{{- define "poplar.wrong.systems" -}}
{{- $wrong := list -}}
{{- $values := .Values -}}
{{- $roles := dict "front" $values.frontEnd.enabled "lmtp" $values.lmtp.enabled "sweep" $values.sweep.enabled -}}
{{- $_ := set $roles "api" (or $values.admin.enabled $values.tenants.enabled) -}}
{{- $_ := set $roles "owner" $values.migration.enabled -}}
{{- range $role, $used := $roles -}}
{{- if and $used (not (include "poplar.databaseSecret" (dict "root" $ "role" $role) | fromJson).secretName) -}}
{{- $wrong = append $wrong (printf "database.%s.secretName must name the Secret with that role's URL of Postgres, or database.shared.secretName one for all roles" $role) -}}
{{- end -}}
{{- end -}}
{{- if and (or $values.frontEnd.enabled $values.admin.enabled $values.tenants.enabled) (not $values.redis.secretName) -}}
{{- $wrong = append $wrong "redis.secretName must name the Secret with the URL of Redis or Valkey" -}}
{{- end -}}
{{- if not $values.objectStore.url -}}
{{- $wrong = append $wrong "objectStore.url must say where messages are kept, such as s3://bucket" -}}
{{- end -}}
{{- $store := dig "object_store" dict $values.config -}}
{{- $further := concat (default list $store.more_urls) (default list $store.read_urls) -}}
{{- if and (hasPrefix "az://" $values.objectStore.url) (not (or $values.objectStore.account $values.objectStore.secretName)) -}}
{{- $wrong = append $wrong "objectStore.account must name the storage account of az://" -}}
{{- end -}}
{{- if and $values.objectStore.account (not (hasPrefix "az://" $values.objectStore.url)) (not $further) -}}
{{- $wrong = append $wrong "objectStore.account is Azure's alone: only az:// takes it" -}}
{{- end -}}
{{- if and (hasPrefix "gs://" $values.objectStore.url) $values.objectStore.secretName (not $further) -}}
{{- $wrong = append $wrong "objectStore.secretName must be empty for gs://, which takes no keys: give the pods an identity (serviceAccount.annotations)" -}}
{{- end -}}
{{- if and (hasPrefix "http://" $values.objectStore.endpoint) (not (dig "object_store" "allow_http" false $values.config)) -}}
{{- $wrong = append $wrong "objectStore.endpoint has no TLS: set config.object_store.allow_http to true if that is meant" -}}
{{- end -}}
{{ toJson $wrong }}
{{- end -}}

{{- define "poplar.wrong.listeners" -}}
{{- $wrong := list -}}
{{- $listeners := .Values.listeners -}}
{{- $ports := list ($listeners.lmtp.port | int) ($listeners.ops.port | int) -}}
{{- $certified := and .Values.lmtp.enabled (ne $listeners.lmtp.tls "none") -}}
{{- range list "pop3" "pop3s" -}}
{{- $listener := index $listeners . -}}
{{- if $listener.enabled -}}
{{- $ports = append $ports ($listener.port | int) -}}
{{- $certified = or $certified (and $.Values.frontEnd.enabled (has $listener.tls (list "starttls" "implicit"))) -}}
{{- if and (eq $listener.tls "terminated") (ne (index $.Values.service .).type "ClusterIP") (not (include "poplar.proxyRequired" $)) -}}
{{- $wrong = append $wrong (printf "listeners.%s.tls is terminated, so service.%s.type must be ClusterIP or proxyProtocol.mode required: else passwords would be taken in clear from anybody" . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- $wrong = append $wrong "listeners: two of them must not have the same port" -}}
{{- end -}}
{{- if and .Values.frontEnd.enabled (not (or $listeners.pop3.enabled $listeners.pop3s.enabled)) -}}
{{- $wrong = append $wrong "listeners.pop3 or listeners.pop3s must be enabled where frontEnd is" -}}
{{- end -}}
{{- if and $certified (not (include "poplar.certificateSecrets" . | fromJsonArray)) -}}
{{- $wrong = append $wrong "tls.secretNames or tls.certificate must give a certificate where TLS ends in the pod (listeners.*.tls starttls or implicit)" -}}
{{- end -}}
{{- with .Values.tls.certificate -}}
{{- if and .enabled (not (and .issuerRef.name .dnsNames)) -}}
{{- $wrong = append $wrong "tls.certificate needs issuerRef.name and dnsNames" -}}
{{- end -}}
{{- end -}}
{{ toJson $wrong }}
{{- end -}}

{{- define "poplar.wrong.gateway" -}}
{{- $wrong := list -}}
{{- $gateway := .Values.gateway -}}
{{- $listeners := .Values.listeners -}}
{{- $routed := or $gateway.tcpRoute.enabled $gateway.tlsRoute.enabled -}}
{{- if and $routed (not (or $gateway.create.enabled $gateway.parentRefs)) -}}
{{- $wrong = append $wrong "gateway.parentRefs must name the Gateway of the routes, or gateway.create.enabled make one" -}}
{{- end -}}
{{- if and $gateway.create.enabled (not $routed) -}}
{{- $wrong = append $wrong "gateway.create needs gateway.tcpRoute or gateway.tlsRoute" -}}
{{- end -}}
{{- if and $gateway.create.enabled (not $gateway.create.className) -}}
{{- $wrong = append $wrong "gateway.create.className must name a GatewayClass" -}}
{{- end -}}
{{- if and $gateway.create.enabled $gateway.tlsRoute.enabled (not $gateway.create.certificateSecretName) (not .Values.tls.certificate.enabled) -}}
{{- $wrong = append $wrong "gateway.create.certificateSecretName must name the certificate of port 995" -}}
{{- end -}}
{{- if and $gateway.tcpRoute.enabled (not (and .Values.frontEnd.enabled $listeners.pop3.enabled)) -}}
{{- $wrong = append $wrong "gateway.tcpRoute needs listeners.pop3 and frontEnd" -}}
{{- end -}}
{{- if and $gateway.tlsRoute.enabled (not (and .Values.frontEnd.enabled $listeners.pop3s.enabled (eq $listeners.pop3s.tls "terminated"))) -}}
{{- $wrong = append $wrong "gateway.tlsRoute ends TLS at the Gateway, so listeners.pop3s must be enabled with tls terminated" -}}
{{- end -}}
{{- if and $gateway.tlsRoute.enabled (not $gateway.tlsRoute.hostnames) -}}
{{- $wrong = append $wrong "gateway.tlsRoute.hostnames must name at least one name" -}}
{{- end -}}
{{ toJson $wrong }}
{{- end -}}

{{- /* Octets in a quantity of memory. */ -}}
{{- define "poplar.octets" -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $factors := dict "" 1 "k" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 -}}
{{- mulf (trimSuffix $unit $text | float64) (get $factors $unit | default 1099511627776) | int64 -}}
{{- end -}}

{{- /* Complaint about a limit of memory that can't hold what the settings allow. Argument: dict root, part, budgets. */ -}}
{{- define "poplar.wrong.memory" -}}
{{- $limit := dig "resources" "limits" "memory" "" (index .root.Values .part) -}}
{{- if and (index .root.Values .part).enabled $limit -}}
{{- $needed := 268435456 -}}
{{- range $name, $usual := .budgets -}}
{{- $needed = add $needed (get $.root.Values.limits $name | default $usual | int64) -}}
{{- end -}}
{{- if lt (include "poplar.octets" $limit | int64) ($needed | int64) -}}
{{ printf "%s.resources.limits.memory is %s, but the budgets in limits (%s) and 256Mi come to %dMi" .part (toString $limit) (keys .budgets | sortAlpha | join ", ") (div (add $needed 1048575) 1048576) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "poplar.wrong.scale" -}}
{{- $wrong := list -}}
{{- $scale := .Values.autoscaling -}}
{{- $front := .Values.frontEnd -}}
{{- if ne $scale.type "none" -}}
{{- if not $front.enabled -}}
{{- $wrong = append $wrong "autoscaling needs frontEnd" -}}
{{- end -}}
{{- if gt ($scale.minReplicas | int) ($scale.maxReplicas | int) -}}
{{- $wrong = append $wrong "autoscaling.minReplicas must not be more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if not (dig "requests" "cpu" "" $front.resources) -}}
{{- $wrong = append $wrong "autoscaling goes by the CPU that is requested: set frontEnd.resources.requests.cpu" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $scale.type "keda") $scale.sessionsPerPod (not $scale.keda.prometheusUrl) -}}
{{- $wrong = append $wrong "autoscaling.keda.prometheusUrl must say where KEDA finds the number of sessions" -}}
{{- end -}}
{{- $budgets := dict "prefetch_process_octets" 67108864 "retrieval_octets" 268435456 "listing_octets" 536870912 -}}
{{- with include "poplar.wrong.memory" (dict "root" . "part" "frontEnd" "budgets" $budgets) -}}
{{- $wrong = append $wrong . -}}
{{- end -}}
{{- with include "poplar.wrong.memory" (dict "root" . "part" "lmtp" "budgets" (dict "delivery_octets" 268435456)) -}}
{{- $wrong = append $wrong . -}}
{{- end -}}
{{ toJson $wrong }}
{{- end -}}

{{- define "poplar.wrong.others" -}}
{{- $wrong := list -}}
{{- if and .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- $wrong = append $wrong "monitoring.podMonitor and monitoring.serviceMonitor would both scrape every pod: enable one" -}}
{{- end -}}
{{- /* PoplarSweepLate's three hours, and half an hour for the sweep itself. */ -}}
{{- $swept := and .Values.sweep.enabled (eq .Values.sweep.mode "worker") .Values.monitoring.rules.enabled -}}
{{- if and $swept (gt (dig "sweep" "interval" 3600 .Values.config | float64) 9000.0) -}}
{{- $wrong = append $wrong "config.sweep.interval must be at most 9000 where monitoring.rules is enabled: PoplarSweepLate fires three hours after the last sweep" -}}
{{- end -}}
{{- $flush := dig "events" "flush" 5 .Values.config | float64 -}}
{{- if lt (.Values.drain.marginSeconds | float64) (addf 13 $flush) -}}
{{- $wrong = append $wrong "drain.marginSeconds must be at least 13 more than config.events.flush" -}}
{{- else if and (include "poplar.traced" .) (lt (.Values.drain.marginSeconds | float64) (addf 13 $flush (dig "traces" "flush" 2 .Values.config | float64))) -}}
{{- $wrong = append $wrong "drain.marginSeconds must be at least 13 more than config.events.flush and config.traces.flush together" -}}
{{- end -}}
{{- if and .Values.tenants.enabled (not .Values.tenants.files) -}}
{{- $wrong = append $wrong "tenants.files must hold at least one file where tenants is enabled" -}}
{{- end -}}
{{- if and .Values.config.hashing (dig "hashing" "scram" false .Values.config) -}}
{{- $given := list -}}
{{- range .Values.secretSettings -}}
{{- $given = append $given .setting -}}
{{- end -}}
{{- if not (has "hashing.scram_secret" $given) -}}
{{- $wrong = append $wrong "config.hashing.scram needs hashing.scram_secret in secretSettings" -}}
{{- end -}}
{{- end -}}
{{ toJson $wrong }}
{{- end -}}
