// A certified OpenID provider (npm oidc-provider) on loopback: node openid.mjs PACKAGE PORT
//
// Every login name is an account of its own, with any password; its address is its name. An access token for
// urn:poplar:jwt is a JWT, one for urn:poplar:opaque is not. Keys are new at each start.
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [library, port] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${library}/lib/index.js`));
const issuer = `http://127.0.0.1:${port}`;
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'mail', client_secret: 'mail-secret', redirect_uris: ['http://127.0.0.1:1/back'],
      grant_types: ['authorization_code'], response_types: ['code'],
    },
    {
      client_id: 'poplar', client_secret: 'poplar-secret', redirect_uris: [], response_types: [],
      grant_types: [],
    },
  ],
  jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256', kid: `key-${process.pid}` }] },
  cookies: { keys: ['for the tests alone'] },
  scopes: ['openid', 'mail'],
  findAccount: async (_, name) => ({ accountId: name, claims: async () => ({ sub: name }) }),
  extraTokenClaims: async (_, token) => ({ email: token.accountId, email_verified: true }),
  ttl: { AccessToken: 600, Grant: 600, Interaction: 600, Session: 600, IdToken: 600 },
  features: {
    devInteractions: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async (_, client) => client.clientId === 'poplar' },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (_, resource) => ({
        audience: 'poplar', scope: 'mail',
        accessTokenFormat: resource.endsWith(':jwt') ? 'jwt' : 'opaque', jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
