namespace Tollgate.Tests.Web.Kong;

/// <summary>The POSTs of the scenario's script, in its order and in its words.</summary>
public static class KongScript
{
    public static readonly (string Path, string[] Fields)[] Steps =
    [
        ("/services", ["name=my-api-service", "url=http://localhost:5000"]),
        ("/services/my-api-service/routes",
            ["name=everything", "paths[]=/v1", "paths[]=/api/v1", "strip_path=false"]),
        ("/services/my-api-service/plugins", ["name=key-auth"]),
        ("/consumers", ["username=free_user_1"]),
        ("/consumers", ["username=pro_user_1"]),
        ("/consumers", ["username=enterprise_user_1"]),
        ("/consumer_groups", ["name=free"]),
        ("/consumer_groups", ["name=pro"]),
        ("/consumer_groups", ["name=enterprise"]),
        ("/consumers/free_user_1/consumer_group", ["name=free"]),
        ("/consumers/pro_user_1/consumer_groups", ["group=pro"]),
        ("/consumer_groups/enterprise/consumers", ["consumer=enterprise_user_1"]),
        ("/consumers/free_user_1/key-auth", ["key=free_user_1-key"]),
        ("/consumers/pro_user_1/key-auth", ["key=pro_user_1-key"]),
        ("/consumers/enterprise_user_1/key-auth", ["key=enterprise_user_1-key"]),
        ("/consumer_groups/free/plugins", ["name=rate-limiting", "config.minute=100", "config.policy=local"]),
        ("/consumer_groups/pro/plugins", ["name=rate-limiting", "config.minute=1000", "config.policy=local"]),
        ("/services/my-api-service/plugins",
        [
            "name=endpoint_gating",
            "config.endpoint_map.free[]=/v1/public/data",
            "config.endpoint_map.pro[]=/v1/public/data",
            "config.endpoint_map.pro[]=/v1/premium/analytics",
            "config.endpoint_map.enterprise[]=/v1/public/data",
            "config.endpoint_map.enterprise[]=/v1/premium/analytics",
            "config.endpoint_map.enterprise[]=/v1/enterprise/advanced",
        ]),
        ("/services", ["name=ml_prediction_service", "url=http://localhost:8090"]),
        ("/routes",
            ["service.name=ml_prediction_service", "paths=/api/v1/predict", "methods=POST", "strip_path=false"]),
    ];

    public static async Task RunAsync(KongHost kong)
    {
        foreach (var (path, fields) in Steps) (await kong.PostAsync(path, fields)).Expect(201);
    }
}
