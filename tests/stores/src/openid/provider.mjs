// An OpenID provider whose clients get tokens for themselves (client credentials), for whichever audience they name.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [port, kid, secret] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };

// What stands in the tokens of each, and for how many seconds they are good.
const clients = {
  builder: { repository: 'acme/web', lifetime: 300 },
  visitor: { repository: 'other/web', lifetime: 300 },
  late: { repository: 'acme/web', lifetime: -120 },
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [key] },
  clients: Object.keys(clients).map((client_id) => ({
    client_id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource, { clientId }) => ({
        scope: 'push',
        audience: resource.replace(/^urn:/, ''),
        accessTokenFormat: 'jwt',
        accessTokenTTL: clients[clientId].lifetime,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (_, { clientId }) => ({ repository: clients[clientId].repository }),
});
provider.listen(Number(port), '127.0.0.1');
