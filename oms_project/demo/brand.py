"""The invented brand 木与光 (home furnishing and appliances): its goods, places and dealers. Data only.

Geography is real: codes are county-level divisions; everything else is made up.
"""

# code, name, category, weight in grams, retail price in fen, supply price in fen, install skill
GOODS: list[tuple[str, str, str, int, int, int, str]] = [
    ("SF-2001", "云朵三人位布艺沙发", "furniture", 68_000, 459_900, 321_900, "install:furniture"),
    ("SF-2002", "云朵双人位布艺沙发", "furniture", 52_000, 349_900, 244_900, "install:furniture"),
    ("SF-2003", "岩灰头层牛皮沙发", "furniture", 92_000, 899_900, 629_900, "install:furniture"),
    ("SF-2004", "单人休闲躺椅", "furniture", 21_000, 129_900, 90_900, ""),
    ("BD-3001", "橡木双人床 1.8 米", "furniture", 85_000, 389_900, 272_900, "install:furniture"),
    ("BD-3002", "橡木双人床 1.5 米", "furniture", 74_000, 339_900, 237_900, "install:furniture"),
    ("BD-3003", "软包气压储物床 1.8 米", "furniture", 98_000, 429_900, 300_900, "install:furniture"),
    ("BD-3004", "儿童上下床", "furniture", 110_000, 469_900, 328_900, "install:furniture"),
    ("MT-3101", "乳胶弹簧床垫 1.8 米", "furniture", 42_000, 269_900, 188_900, ""),
    ("MT-3102", "椰棕护脊床垫 1.5 米", "furniture", 36_000, 189_900, 132_900, ""),
    ("WD-4001", "四门推拉衣柜", "furniture", 150_000, 519_900, 363_900, "install:furniture"),
    ("WD-4002", "开放式衣帽间 2.4 米", "furniture", 130_000, 489_900, 342_900, "install:furniture"),
    ("TB-5001", "岩板餐桌 1.4 米", "furniture", 72_000, 239_900, 167_900, "install:furniture"),
    ("TB-5002", "可伸缩实木餐桌", "furniture", 60_000, 219_900, 153_900, "install:furniture"),
    ("CH-5101", "温莎餐椅（一对）", "furniture", 12_000, 69_900, 48_900, ""),
    ("TV-5201", "悬浮电视柜 2.2 米", "furniture", 48_000, 179_900, 125_900, "install:furniture"),
    ("DK-5301", "电动升降书桌", "furniture", 38_000, 199_900, 139_900, "install:furniture"),
    ("DK-5302", "人体工学椅", "furniture", 19_000, 119_900, 83_900, ""),
    ("BS-5401", "五层书架", "furniture", 26_000, 59_900, 41_900, ""),
    ("SH-5501", "超薄翻斗鞋柜", "furniture", 30_000, 79_900, 55_900, "install:furniture"),
    ("SB-5601", "北欧餐边柜", "furniture", 55_000, 189_900, 132_900, "install:furniture"),
    ("TT-5701", "岩板茶几", "furniture", 40_000, 109_900, 76_900, ""),
    ("AC-6001", "1.5 匹新一级能效挂机", "appliance", 42_000, 279_900, 209_900, "install:appliance"),
    ("AC-6002", "3 匹立柜式空调", "appliance", 88_000, 599_900, 449_900, "install:appliance"),
    ("AC-6003", "风管机 2 匹", "appliance", 60_000, 459_900, 344_900, "install:appliance"),
    ("RF-6101", "十字对开门冰箱 500 升", "appliance", 105_000, 429_900, 322_900, ""),
    ("RF-6102", "三门冰箱 260 升", "appliance", 62_000, 199_900, 149_900, ""),
    ("WM-6201", "10 公斤洗烘一体机", "appliance", 78_000, 329_900, 247_900, "install:appliance"),
    ("WM-6202", "10 公斤热泵干衣机", "appliance", 58_000, 359_900, 269_900, "install:appliance"),
    ("DW-6301", "嵌入式洗碗机 15 套", "appliance", 50_000, 389_900, 292_900, "install:appliance"),
    ("HD-6401", "顶侧双吸油烟机", "appliance", 32_000, 259_900, 194_900, "install:appliance"),
    ("GS-6402", "5.2 千瓦燃气灶", "appliance", 16_000, 109_900, 82_900, "install:appliance"),
    ("WH-6501", "16 升零冷水燃气热水器", "appliance", 20_000, 269_900, 202_900, "install:appliance"),
    ("WH-6502", "60 升电热水器", "appliance", 28_000, 129_900, 97_900, "install:appliance"),
    ("TV-6601", "75 寸 MiniLED 电视", "appliance", 34_000, 499_900, 374_900, "install:appliance"),
    ("TV-6602", "55 寸 4K 电视", "appliance", 17_000, 219_900, 164_900, "install:appliance"),
    ("WP-6701", "厨下净水器 1000G", "appliance", 14_000, 189_900, 142_900, "install:appliance"),
    ("TL-6801", "智能马桶一体机", "appliance", 45_000, 299_900, 224_900, "install:appliance"),
    ("LK-6901", "人脸识别智能锁", "appliance", 6_000, 159_900, 119_900, "install:appliance"),
    ("CM-6902", "可视猫眼", "appliance", 800, 39_900, 29_900, ""),
    ("RB-7001", "扫拖机器人全能基站", "appliance", 18_000, 349_900, 262_900, ""),
    ("VC-7002", "无线吸尘洗地机", "appliance", 9_000, 199_900, 149_900, ""),
    ("AP-7003", "空气净化器", "appliance", 11_000, 149_900, 112_900, ""),
    ("FN-7004", "直流变频落地扇", "appliance", 6_500, 49_900, 37_900, ""),
    ("RC-7101", "低糖电饭煲 4 升", "small", 4_200, 39_900, 27_900, ""),
    ("AF-7102", "可视空气炸锅", "small", 5_600, 35_900, 25_900, ""),
    ("KT-7103", "恒温电水壶", "small", 1_500, 15_900, 10_900, ""),
    ("SM-7104", "破壁豆浆机", "small", 4_800, 49_900, 34_900, ""),
    ("CF-7105", "半自动咖啡机", "small", 7_200, 99_900, 69_900, ""),
    ("LP-8001", "护眼台灯", "small", 2_100, 29_900, 18_900, ""),
    ("LP-8002", "全光谱吸顶灯", "small", 4_000, 59_900, 38_900, "install:appliance"),
    ("BL-8101", "新疆长绒棉四件套", "small", 2_800, 49_900, 29_900, ""),
    ("BL-8102", "95 白鹅绒被", "small", 3_100, 129_900, 84_900, ""),
    ("PL-8103", "乳胶枕（一对）", "small", 2_600, 29_900, 17_900, ""),
    ("CU-8201", "遮光窗帘（定高 2.7 米）", "small", 5_000, 69_900, 43_900, ""),
    ("RG-8202", "短绒客厅地毯", "small", 9_000, 79_900, 49_900, ""),
    ("KN-8301", "五件套刀具", "small", 1_800, 26_900, 16_900, ""),
    ("PT-8302", "珐琅铸铁锅", "small", 4_600, 45_900, 28_900, ""),
    ("CP-8303", "北欧餐具 24 件套", "small", 6_800, 39_900, 23_900, ""),
    ("ST-8401", "收纳箱（三只装）", "small", 3_600, 12_900, 7_900, ""),
    ("HK-8402", "阳台晾衣机", "appliance", 15_000, 119_900, 89_900, "install:appliance"),
]

# code, name, category, kind, supply price in fen
INTANGIBLES: list[tuple[str, str, str, str, int]] = [
    ("SV-INST-F", "家具送装服务", "service", "service", 0),
    ("SV-INST-A", "家电上门安装服务", "service", "service", 0),
    ("SV-OLD", "旧机拆除带走", "service", "service", 0),
    ("VT-WARR3", "三年延保", "virtual", "virtual", 0),
    ("VT-VIP", "家居会员年卡", "virtual", "virtual", 0),
]

# code, name, parts (sku code, quantity, money weight), retail price in fen
COMBOS: list[tuple[str, str, list[tuple[str, int, int]], int]] = [
    ("SET-LIVING", "客厅焕新套装（沙发＋茶几＋送装）", [("SF-2001", 1, 80), ("TT-5701", 1, 17), ("SV-INST-F", 1, 3)], 539_900),
    ("SET-BEDROOM", "卧室舒眠套装（床＋床垫＋送装）", [("BD-3001", 1, 58), ("MT-3101", 1, 39), ("SV-INST-F", 1, 3)], 629_900),
    ("SET-DINING", "餐厅四椅套装", [("TB-5001", 1, 62), ("CH-5101", 2, 36), ("SV-INST-F", 1, 2)], 359_900),
    (
        "SET-KITCHEN",
        "烟灶热三件套（含安装）",
        [("HD-6401", 1, 40), ("GS-6402", 1, 17), ("WH-6501", 1, 41), ("SV-INST-A", 1, 2)],
        599_900,
    ),
    ("SET-AC", "空调挂机＋安装＋三年延保", [("AC-6001", 1, 90), ("SV-INST-A", 1, 4), ("VT-WARR3", 1, 6)], 299_900),
    ("SET-WASH", "洗烘套装", [("WM-6201", 1, 47), ("WM-6202", 1, 51), ("SV-INST-A", 1, 2)], 649_900),
]

# code, name, kind, division
OWN_NODES: list[tuple[str, str, str, str]] = [
    ("HQ-SD", "总部中心仓（佛山顺德）", "hq", "440606"),
    ("RDC-HD", "华东区域仓（苏州昆山）", "region", "320583"),
    ("RDC-HB", "华北区域仓（天津武清）", "region", "120114"),
    ("RDC-XN", "西南区域仓（成都双流）", "region", "510116"),
    ("RDC-HZ", "华中区域仓（武汉东西湖）", "region", "420112"),
    ("RDC-XB", "西北区域仓（西安未央）", "region", "610112"),
    ("RDC-DB", "东北区域仓（沈阳浑南）", "region", "210112"),
]

# name, home division, second division for a store ("" for none), tier
DEALERS: list[tuple[str, str, str, str]] = [
    ("苏州安居家居", "320506", "320508", "gold"),
    ("上海浦江生活馆", "310115", "310112", "gold"),
    ("杭州西溪家电", "330106", "330110", "gold"),
    ("宁波海曙家居城", "330206", "", "silver"),
    ("温州鹿城宜家坊", "330302", "", "standard"),
    ("南京钟山家居", "320102", "320114", "gold"),
    ("无锡锡山家电", "320205", "", "silver"),
    ("常州新北家居", "320411", "", "standard"),
    ("北京朝阳木光店", "110105", "110108", "gold"),
    ("北京丰台家居", "110106", "", "silver"),
    ("广州天河家电", "440106", "440111", "gold"),
    ("深圳宝安生活馆", "440306", "440307", "gold"),
    ("佛山禅城家居", "440604", "", "silver"),
    ("厦门思明家居", "350203", "", "silver"),
    ("福州鼓楼家电", "350102", "", "standard"),
    ("济南历下家居", "370102", "", "silver"),
    ("青岛市北家电", "370203", "", "silver"),
    ("烟台芝罘家居", "370602", "", "standard"),
    ("郑州金水家居", "410105", "", "silver"),
    ("长沙岳麓生活馆", "430104", "430111", "gold"),
    ("重庆沙坪坝家居", "500106", "500112", "gold"),
    ("成都武侯家居", "510107", "510104", "gold"),
    ("昆明盘龙家居", "530103", "", "standard"),
    ("贵阳观山湖家电", "520115", "", "standard"),
    ("南宁青秀家居", "450103", "", "standard"),
    ("南昌青山湖家居", "360111", "", "standard"),
    ("合肥包河家电", "340111", "340104", "silver"),
    ("石家庄长安家居", "130102", "", "standard"),
    ("太原小店家居", "140105", "", "standard"),
    ("沈阳和平家居", "210102", "", "silver"),
    ("长春朝阳家电", "220104", "", "standard"),
    ("哈尔滨南岗家居", "230103", "", "standard"),
    ("西安雁塔家居", "610113", "", "silver"),
    ("兰州城关家电", "620102", "", "standard"),
    ("乌鲁木齐新市家居", "650104", "", "standard"),
    ("呼和浩特新城家居", "150102", "", "standard"),
    ("海口龙华家居", "460106", "460105", "standard"),
    ("银川兴庆家居", "640104", "", "standard"),
]

# The dealer whom a newcomer plays; the demo bots leave its offers alone.
PLAYED_DEALER = "D001"
BOSS_PHONE = "13800000001"
DEMO_PASSWORD = "yipan-demo-2026"

SHOP = "7700001"
SHOP_NAME = "木与光官方旗舰店"
APP_KEY = "7000000000000000001"
APP_SECRET = "demo-app-secret-not-for-production"
