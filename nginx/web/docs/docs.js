// The contract, as Swagger UI shows it, to be tried out against this very server.
SwaggerUIBundle({
  url: '/openapi.yaml',
  domNode: document.getElementById('contract'),
  deepLinking: true,
  displayOperationId: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // it would tell a stranger
});
